namespace OnnxLlm.Tools;

/// <summary>The sample corpus that npm brings: US State of the Union addresses, 1790 to 2021, in the public domain.</summary>
internal static class SampleCorpus
{
    /// <summary>How commands name it.</summary>
    public const string Name = "sotu";

    /// <summary>Its folder, looked for from the current directory upwards, then from the program's.</summary>
    /// <exception cref="ToolException">It is not installed.</exception>
    public static string Folder() => Above(Directory.GetCurrentDirectory()).Concat(Above(AppContext.BaseDirectory))
        .Select(folder => Path.Combine(folder, "node_modules", "@stdlib", "datasets-sotu", "data")).FirstOrDefault(Directory.Exists)
        ?? throw new ToolException($"the sample corpus '{Name}' is not installed; run npm ci in the repository");

    private static IEnumerable<string> Above(string folder)
    {
        for (string? current = folder; current is not null; current = Path.GetDirectoryName(current))
            yield return current;
    }
}
