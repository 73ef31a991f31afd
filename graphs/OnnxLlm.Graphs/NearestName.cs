namespace OnnxLlm.Graphs;

/// <summary>Suggests what a misspelt name may have been meant to be.</summary>
public static class NearestName
{
    /// <summary>The candidate with the fewest inserted, deleted or replaced letters; null when even that one is too far to be meant.</summary>
    public static string? Of(string name, IEnumerable<string> candidates)
    {
        string? nearest = candidates.Order(StringComparer.Ordinal).MinBy(candidate => Distance(name, candidate));
        return nearest is not null && Distance(name, nearest) <= Math.Max(2, name.Length / 3) ? nearest : null;
    }

    /// <summary>" Did you mean 'NEAREST'?", or, when nothing is near, the list of what there is.</summary>
    public static string Hint(string name, IReadOnlyCollection<string> candidates) =>
        Of(name, candidates) is { } nearest ? $" Did you mean '{nearest}'?" : $" Known: {string.Join(", ", candidates)}.";

    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, 1 + Math.Min(row[j], row[j - 1]));
            }
        }
        return row[b.Length];
    }
}
