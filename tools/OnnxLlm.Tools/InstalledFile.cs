namespace OnnxLlm.Tools;

/// <summary>What npm put into a folder of the repository.</summary>
internal static class InstalledFile
{
    /// <summary>A file or folder of the repository, looked for from the current directory upwards, then from the program's; null where it is not installed.</summary>
    public static string? Find(string relative) => Above(Directory.GetCurrentDirectory()).Concat(Above(AppContext.BaseDirectory))
        .Select(folder => Path.Combine(folder, relative)).FirstOrDefault(Path.Exists);

    private static IEnumerable<string> Above(string folder)
    {
        for (string? current = folder; current is not null; current = Path.GetDirectoryName(current))
            yield return current;
    }
}
