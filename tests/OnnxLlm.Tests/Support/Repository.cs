namespace OnnxLlm.Tests.Support;

/// <summary>Where the source tree is, for tests that read it.</summary>
internal static class Repository
{
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    public static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    /// <summary>Source files below a folder, build output excluded.</summary>
    public static IEnumerable<string> Sources(params string[] folder) =>
        Directory.EnumerateFiles(PathOf(folder), "*.cs", SearchOption.AllDirectories).Order(StringComparer.Ordinal);

    private static string Find(string folder) =>
        File.Exists(Path.Combine(folder, "OnnxLlm.sln")) ? folder : Find(Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository."));
}
