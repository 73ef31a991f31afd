using System.Diagnostics;

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

    /// <summary>How to start one of which a test has said that it needs it.</summary>
    public static ProcessStartInfo Start(string name, params IEnumerable<string> arguments) => new(Find(name) ?? throw new FileNotFoundException($"{name} is not installed."), arguments)
    {
        RedirectStandardError = true,
        RedirectStandardOutput = true,
    };

    /// <summary>Runs one to its end.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(string name, params string[] arguments)
    {
        using var process = Process.Start(Start(name, arguments))!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync() + await errors;
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
    }
}
