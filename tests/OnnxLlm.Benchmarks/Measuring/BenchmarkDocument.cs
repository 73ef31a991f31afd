using System.Text;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>
/// docs/benchmarks.md: one section per suite between two comments. A suite rewrites its own section and leaves the others, so
/// every number in the file was written by the program that measured it.
/// </summary>
internal static class BenchmarkDocument
{
    private const string Introduction = """
        # Benchmarks

        Every section below was written by the program that measured it, `dotnet run -c Release --project tests/OnnxLlm.Benchmarks -- <suite>` (`all` for every one);
        do not edit the numbers. Peers and our side run in turn on the same machine, each in a process of its own. Shared machines slow
        down in phases, so trust the ratios before the times.

        """;

    public static string Root { get; } = RepositoryRoot();

    public static string DefaultPath { get; } = Path.Combine(Root, "docs", "benchmarks.md");

    public static void Replace(string path, string suite, string section)
    {
        string text = File.Exists(path) ? File.ReadAllText(path) : Introduction;
        File.WriteAllText(path, Replaced(text, suite, section), new UTF8Encoding(false));
    }

    public static string Replaced(string document, string suite, string section)
    {
        (string begin, string end) = ($"<!-- {suite}: begin -->", $"<!-- {suite}: end -->");
        string block = $"{begin}\n{section.Trim()}\n{end}\n";
        int from = document.IndexOf(begin, StringComparison.Ordinal);
        if (from < 0) return document.TrimEnd() + "\n\n" + block;
        int to = document.IndexOf(end, from, StringComparison.Ordinal);
        string rest = document[(to + end.Length)..].TrimStart('\n');
        return document[..from] + block + (rest.Length > 0 ? "\n" + rest : "");
    }

    private static string RepositoryRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "OnnxLlm.sln")))
            folder = folder.Parent;
        return folder?.FullName ?? Directory.GetCurrentDirectory();
    }
}
