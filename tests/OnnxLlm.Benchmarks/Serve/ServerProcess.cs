using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>The real server as a process of its own, on a port that was free. Disposing it ends it.</summary>
internal sealed class ServerProcess : IDisposable
{
    private static readonly TimeSpan LongestStart = TimeSpan.FromMinutes(2);

    private readonly Process _process;

    private ServerProcess(Process process) => _process = process;

    /// <summary>Where it listens.</summary>
    public required Uri Address { get; init; }

    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Processor time of all threads but the engine's loop and the workers of the forward pass, which have the name of the thread that starts them, the program's first.</summary>
    public ThreadTime HttpTime => ThreadTime.Of(_process.Id, name => name is not ("inference" or "dotnet"));

    /// <summary>Most memory it had resident, in bytes.</summary>
    public long PeakBytes
    {
        get
        {
            _process.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    /// <summary>Returns once the server listens, which it does after its first forward pass.</summary>
    /// <param name="more">Further options of its command line.</param>
    public static ServerProcess Start(string model, int threads, params string[] more)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "OnnxLlm.Serving.dll");
        string[] arguments = ["--model", model, "--urls", "http://127.0.0.1:0", "--threads", threads.ToString(CultureInfo.InvariantCulture), .. more];
        Process process = Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true })!;
        try
        {
            Uri address = AddressOf(process);
            _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null); // its log is read on, or it would wait for a reader
            return new ServerProcess(process) { Address = address };
        }
        catch
        {
            End(process);
            throw;
        }
    }

    public void Dispose() => End(_process);

    /// <summary>From the log line that says where the model is served.</summary>
    private static Uri AddressOf(Process process)
    {
        using var limit = new CancellationTokenSource(LongestStart);
        while (NextLine(process, limit.Token) is { } line)
        {
            using JsonDocument entry = JsonDocument.Parse(line);
            if (entry.RootElement.TryGetProperty("State", out JsonElement state) && state.TryGetProperty("Urls", out JsonElement address))
                return new Uri(address.GetString()!);
        }
        process.WaitForExit();
        throw new BenchmarkException($"The server ended with exit code {process.ExitCode} before it listened.");
    }

    private static string? NextLine(Process process, CancellationToken limit)
    {
        try
        {
            return process.StandardOutput.ReadLineAsync(limit).AsTask().GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            throw new BenchmarkException($"The server did not listen within {LongestStart.TotalMinutes:F0} minutes.");
        }
    }

    private static void End(Process process)
    {
        if (!process.HasExited) process.Kill(entireProcessTree: true);
        process.WaitForExit();
        process.Dispose();
    }
}
