using OnnxLlm.Text;
using OnnxLlm.Text.Filtering;

namespace OnnxLlm.Serving.Safety;

/// <summary>The guardrails that the program and the operator have put up, the operator by a file of <see cref="ContentRules"/>.</summary>
internal sealed class Guardrails(IReadOnlyList<IGuardrail> guardrails, int window, string fingerprint = "")
{
    /// <summary>Changes whenever what is found may change.</summary>
    public string Fingerprint { get; } = string.Join('\n', [fingerprint, .. guardrails.Select(guardrail => guardrail.Version)]);

    public bool Any => guardrails.Count > 0;

    public IReadOnlyList<string> Categories { get; } = [.. guardrails.SelectMany(guardrail => guardrail.Categories).Distinct()];

    /// <param name="own">Those of the program that the server is part of.</param>
    /// <param name="path">The file; null for none.</param>
    /// <exception cref="ServingException">The file is missing or malformed.</exception>
    public static Guardrails Create(IReadOnlyList<IGuardrail> own, string? path)
    {
        var window = own.Select(guardrail => guardrail.Window).DefaultIfEmpty(0).Max();
        if (path is null) return new Guardrails(own, window);
        try
        {
            var rules = ContentRules.Read(path);
            return new Guardrails([.. Read(rules), .. own], Math.Max(rules.Window, window), rules.Fingerprint);
        }
        catch (TextException mistake)
        {
            throw new ServingException(mistake.Message, mistake);
        }
    }

    /// <exception cref="ServingException">A guardrail failed, so nothing is known of the text.</exception>
    public IReadOnlyList<Finding> Inspect(string text, TextSide side)
    {
        try
        {
            Finding[] findings = [.. guardrails.SelectMany(guardrail => guardrail.Inspect(text, side))];
            return Array.Find(findings, finding => finding.Start < 0 || finding.Start >= finding.End || finding.End > text.Length) is null ? findings : throw new ServingException("A guardrail found something outside the text.");
        }
        catch (Exception fault) when (fault is not ServingException)
        {
            throw new ServingException("A guardrail failed.", fault);
        }
    }

    /// <summary>The category for which a prompt is not answered, or null.</summary>
    public string? Refuse(string prompt) => Inspect(prompt, TextSide.Prompt).FirstOrDefault(finding => finding.Blocks)?.Category;

    /// <summary>For one answer; null where nothing looks at it.</summary>
    public GuardedText? Begin() => Any ? new GuardedText(this, window) : null;

    private static List<IGuardrail> Read(ContentRules rules)
    {
        List<IGuardrail> guardrails = [.. rules.Categories.Select(category => new WordFilter(category))];
        if (rules.PersonalData != PersonalDataRule.Allow) guardrails.Add(new PersonalDataFilter(rules.PersonalData == PersonalDataRule.Block));
        return guardrails;
    }
}
