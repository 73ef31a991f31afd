namespace OnnxLlm.Tests.Support;

/// <summary>Where the source tree is, for tests that read it.</summary>
internal static class Repository
{
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    public static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    /// <summary>Source files below a folder, without those that npm installed there.</summary>
    public static IEnumerable<string> Sources(params string[] folder) =>
        Directory.EnumerateFiles(PathOf(folder), "*.cs", SearchOption.AllDirectories).Where(IsOurs).Order(StringComparer.Ordinal);

    /// <summary>Folders at any depth below one, without those that npm installed there.</summary>
    public static IEnumerable<string> Folders(string folder) => Directory.EnumerateDirectories(PathOf(folder), "*", SearchOption.AllDirectories).Where(IsOurs);

    private static bool IsOurs(string path) => !path.Split(Path.DirectorySeparatorChar).Contains("node_modules");

    private static string Find(string folder) =>
        File.Exists(Path.Combine(folder, "OnnxLlm.sln")) ? folder : Find(Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository."));
}
