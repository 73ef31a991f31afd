using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Runs;

/// <summary>Finds out what a run is made with: code, versions, machine.</summary>
internal static class Provenance
{
    private static readonly TimeSpan GitTimeout = TimeSpan.FromSeconds(10);

    public static VersionsRecord Versions() => new(
        typeof(Provenance).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown",
        OrtSession.RuntimeVersion,
        RuntimeInformation.FrameworkDescription,
        RuntimeInformation.OSDescription);

    public static MachineRecord Machine() => new(
        RuntimeInformation.ProcessArchitecture.ToString(),
        Environment.ProcessorCount,
        Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1L << 30), 1));

    /// <summary>The commit that this program was built from and whether its tree has been changed since.</summary>
    public static CodeRecord Code()
    {
        var commit = Git("rev-parse", "HEAD");
        return new CodeRecord(commit, commit is null ? null : Git("status", "--porcelain", "--untracked-files=no") is { Length: > 0 });
    }

    /// <summary>Output of a git command in the program's folder; null where git or the repository is missing.</summary>
    private static string? Git(params string[] arguments)
    {
        var start = new ProcessStartInfo("git", arguments) { WorkingDirectory = AppContext.BaseDirectory, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using var git = Process.Start(start)!;
            var output = git.StandardOutput.ReadToEndAsync();
            git.StandardError.ReadToEndAsync();
            return git.WaitForExit(GitTimeout) && git.ExitCode == 0 ? output.Result.Trim() : null;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
