using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>A running child process that shares our terminal. Disposing it ends it in good order.</summary>
internal sealed class Child : IAsyncDisposable
{
    private const int Terminate = 15;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly Process _process;
    private readonly Task _output;

    private Child(Process process, string? output)
    {
        _process = process;
        _output = output is null ? Task.CompletedTask : Save(output);
    }

    public bool HasExited => _process.HasExited;

    public static Child Start(CommandLine command, string folder)
    {
        try
        {
            var info = new ProcessStartInfo(command.Program, command.Arguments) { WorkingDirectory = folder, RedirectStandardOutput = command.Output is not null };
            return new(Process.Start(info)!, command.Output is null ? null : Path.Combine(folder, command.Output));
        }
        catch (Win32Exception e)
        {
            throw new ToolException($"'{command.Program}' cannot be started: {e.Message}.");
        }
    }

    /// <summary>Waits for its end and returns its exit code; an interruption is passed on to it.</summary>
    public async Task<int> Wait(Interruption interruption)
    {
        try
        {
            await _process.WaitForExitAsync(interruption.Token);
        }
        catch (OperationCanceledException)
        {
            await End(ask: !interruption.ReachedChildren);
        }
        return _process.ExitCode;
    }

    /// <summary>Waits for the child to end; ends it when it takes too long.</summary>
    /// <param name="ask">Tell it to end: not needed where it was told already, and a second request may read as impatience.</param>
    public async Task End(bool ask)
    {
        if (ask && !_process.HasExited) Ask();
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }
    }

    private void Ask()
    {
        if (OperatingSystem.IsWindows()) _process.Kill(entireProcessTree: true);
        else _ = Signal(_process.Id, Terminate);
    }

    public async ValueTask DisposeAsync()
    {
        await End(ask: true);
        await _output.WaitAsync(Patience);
        _process.Dispose();
    }

    private async Task Save(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 1);
        await _process.StandardOutput.BaseStream.CopyToAsync(file);
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Signal(int process, int signal);
}
