namespace OnnxLlm.Tests.Support;

/// <summary>Programs that are not part of the project: what needs one is tested where there is one.</summary>
internal static class InstalledProgram
{
    /// <summary>The full path of the first of some programs that is installed, or null.</summary>
    public static string? Find(params string[] names)
    {
        string[] folders = [.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator), "/usr/sbin", "/usr/local/sbin"];
        return names.SelectMany(name => folders.Where(folder => folder.Length > 0).Select(folder => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
    }
}

/// <summary>A test that needs programs from elsewhere, and says so where it is skipped.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NeedsAttribute : FactAttribute
{
    public NeedsAttribute(params string[] programs)
    {
        var missing = programs.Where(program => InstalledProgram.Find(program) is null).ToArray();
        if (missing.Length > 0) Skip = $"{string.Join(" and ", missing)} {(missing.Length == 1 ? "is" : "are")} not installed.";
    }
}
