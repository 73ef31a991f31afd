using System.Diagnostics;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Serve;

namespace OnnxLlm.Benchmarks.Load;

/// <summary>A start of the server, its first request and later ones: streamed completions of other prompts, by one client.</summary>
/// <param name="ListeningMilliseconds">From the start of the process until it listens.</param>
/// <param name="FirstMilliseconds">To the first token of the first request.</param>
/// <param name="LaterMilliseconds">The same of those that follow, their median.</param>
internal sealed record ServerStart(double ListeningMilliseconds, double FirstMilliseconds, double LaterMilliseconds, double OthersShare)
{
    /// <summary>Requests after the first.</summary>
    public const int Later = 50;

    private const int Tokens = 8, Seed = 7;

    /// <param name="vocabulary">Tokens that prompts are made of.</param>
    public static ServerStart Of(string package, int vocabulary, int threads, TimeProvider time)
    {
        var machine = new ProcessorTime(time);
        TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
        long begin = time.GetTimestamp();
        using var server = ServerProcess.Start(package, threads);
        double listening = time.GetElapsedTime(begin).TotalMilliseconds;
        using var client = new StreamingClient(server.Address, Path.GetFileName(package), Tokens, time);
        var prompts = new Prompts(vocabulary, Seed);
        double first = Ask();
        double later = Summary.Of(Enumerable.Range(0, Later).Select(_ => Ask())).Median;
        return new(listening, first, later, machine.OthersShare(Process.GetCurrentProcess().TotalProcessorTime - before + server.ProcessorTime));

        double Ask() => client.Ask(prompts.Next()).FirstMilliseconds;
    }
}
