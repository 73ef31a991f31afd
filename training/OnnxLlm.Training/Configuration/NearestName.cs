namespace OnnxLlm.Training.Configuration;

/// <summary>Finds what a mistyped name was probably meant to be, by edit distance.</summary>
internal static class NearestName
{
    /// <summary>The closest candidate if it is within a third of the name's length (at least two edits), else null.</summary>
    public static string? Of(string name, IEnumerable<string> candidates)
    {
        var best = candidates.Select(candidate => (candidate, distance: Distance(name, candidate))).DefaultIfEmpty(("", int.MaxValue)).MinBy(x => x.Item2);
        return best.Item2 <= Math.Max(2, name.Length / 3) ? best.Item1 : null;
    }

    /// <summary>Levenshtein's distance with one row of memory.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0]++;
            for (var j = 1; j <= b.Length; j++)
            {
                var replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                (diagonal, row[j]) = (row[j], Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1));
            }
        }
        return row[^1];
    }
}
