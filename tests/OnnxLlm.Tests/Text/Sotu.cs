using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Text;

/// <summary>The sample corpus: US State of the Union addresses, in the public domain.</summary>
internal static class Sotu
{
    public static string[] Files { get; } = [.. Directory.EnumerateFiles(
        Repository.PathOf("node_modules", "@stdlib", "datasets-sotu", "data"), "*.txt").Order(StringComparer.Ordinal)];

    /// <summary>The first addresses, from 1790 on.</summary>
    public static string[] Speeches(int count) => [.. Files.Take(count).Select(File.ReadAllText)];
}
