using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

/// <summary>The server as a process of its own; what is still running when the test ends is killed.</summary>
internal sealed class ServerProcess(params string[] arguments) : IDisposable
{
    private const int TerminateSignal = 15;

    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public Process Process { get; } = Process.Start(Info(arguments))!;

    /// <summary>How it is started.</summary>
    public static ProcessStartInfo Info(params string[] arguments) =>
        new("dotnet", [Path.Combine(AppContext.BaseDirectory, "OnnxLlm.Serving.dll"), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };

    /// <summary>From the line of the log that says where the model is served.</summary>
    public Uri Address()
    {
        while (Process.StandardOutput.ReadLine() is { } line)
            if ((string?)JsonNode.Parse(line)?["State"]?["Urls"] is { } address) return new Uri(address);
        throw new InvalidOperationException(Process.StandardError.ReadToEnd());
    }

    /// <summary>Lets the log go, so that its pipe does not fill up.</summary>
    public void IgnoreLog() => _ = Process.StandardOutput.ReadToEndAsync();

    /// <summary>What a service manager sends.</summary>
    public void Terminate() => Assert.Equal(0, Kill(Process.Id, TerminateSignal));

    /// <summary>Waits for the end.</summary>
    public int ExitCode()
    {
        Assert.True(Process.WaitForExit(Patience));
        return Process.ExitCode;
    }

    public void Dispose()
    {
        if (!Process.HasExited) Process.Kill();
        Process.Dispose();
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
