namespace OnnxLlm.Text.Corpora;

/// <summary>A file that documents come from.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="Name">Its path below the source folder, with forward slashes.</param>
/// <param name="IsAlone">It is the whole source: a text file is then cut into documents.</param>
internal sealed record SourceFile(string Path, string Name, bool IsAlone)
{
    private static readonly string[] Extensions = [".txt", ".jsonl"];

    public bool IsJsonLines => HasExtension(Path, ".jsonl");

    /// <summary>Name without extension: the id of a document that is a file.</summary>
    public string Stem => System.IO.Path.ChangeExtension(Name, null);

    /// <summary>The files of a source by name, so that the corpus does not depend on the order of the file system.</summary>
    public static IReadOnlyList<SourceFile> Find(string source)
    {
        if (Directory.Exists(source))
            return InFolder(source);
        if (!File.Exists(source))
            throw new TextException($"corpus source '{source}' does not exist");
        return IsText(source) ? [new SourceFile(source, System.IO.Path.GetFileName(source), IsAlone: true)]
            : throw new TextException($"corpus source '{source}' is neither a .txt nor a .jsonl file");
    }

    private static List<SourceFile> InFolder(string folder)
    {
        var files = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(IsText)
            .Select(path => new SourceFile(path, System.IO.Path.GetRelativePath(folder, path).Replace('\\', '/'), IsAlone: false))
            .OrderBy(file => file.Name, StringComparer.Ordinal).ToList();
        return files.Count > 0 ? files : throw new TextException($"corpus source '{folder}' is empty: it has no .txt and no .jsonl files");
    }

    private static bool IsText(string path) => Extensions.Any(extension => HasExtension(path, extension));

    private static bool HasExtension(string path, string extension) => path.EndsWith(extension, StringComparison.OrdinalIgnoreCase);
}
