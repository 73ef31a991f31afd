using OnnxLlm.Text.Filtering;
using OnnxLlm.Text.Privacy;

namespace OnnxLlm.Text.Corpora;

/// <summary>Keeps out of a corpus what its rules keep out of answers, because a model answers as its corpus speaks; and keeps count.</summary>
/// <param name="rules">Null: everything goes through.</param>
internal sealed class CorpusFilter(ContentRules? rules)
{
    private readonly SortedDictionary<string, long> _removed = new(StringComparer.Ordinal), _masked = new(StringComparer.Ordinal);
    private long _documents;

    /// <summary>What it did so far; null without rules.</summary>
    public CorpusFiltering? Counts => rules is null ? null : new(rules.Fingerprint, _documents, _removed, _masked);

    /// <summary>The text as it may stand in the corpus; null if it may not.</summary>
    public string? Pass(string text)
    {
        if (rules is null) return text;
        string[] objections = [.. Objections(text)];
        if (objections.Length > 0) _documents++;
        foreach (string objection in objections) Count(_removed, objection);
        if (objections.Length > 0) return null;
        return rules.PersonalData == PersonalDataRule.Mask ? Masked(text) : text;
    }

    private IEnumerable<string> Objections(string text)
    {
        IEnumerable<string> categories = rules!.Categories.Where(category => category.InAnswers && category.Find(text).Any()).Select(category => category.Name);
        IEnumerable<string> kinds = rules.PersonalData == PersonalDataRule.Block ? PersonalData.Find(text).Select(datum => datum.Kind) : [];
        return categories.Concat(kinds).Distinct();
    }

    private string Masked(string text)
    {
        foreach (PersonalDatum datum in PersonalData.Find(text)) Count(_masked, datum.Kind);
        return PersonalData.Replace(text);
    }

    private static void Count(SortedDictionary<string, long> counts, string name) => counts[name] = counts.GetValueOrDefault(name) + 1;
}
