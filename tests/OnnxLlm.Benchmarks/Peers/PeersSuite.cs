using System.Globalization;
using OnnxLlm.Benchmarks.Kernels;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The same INT8 model in three runtimes, each in its own process, in turn: ours, ONNX Runtime GenAI on our package with a cache of floats, llama.cpp on a GGUF of its shape.</summary>
internal sealed class PeersSuite(PeersOptions options, TimeProvider time, TextWriter output)
{
    private readonly QuietMachine _machine = new(time, options.Threads, output);

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var temporary = new TemporaryFolder("peers");
        string folder = options.Models ?? temporary.Path, package = LargePackage.In(folder), gguf = LargePackage.GgufIn(folder);
        (string Runtime, string Model)[] sides = [(PeersWorker.Llama, gguf), (PeersWorker.GenAi, LargePackage.PlainIn(folder)), (PeersWorker.Own, package)];
        _machine.Wait();
        using var limits = new LimitProbe(_machine, options.Threads, time);
        PeersRound[] rounds = [.. PeersResult.Batches.SelectMany(batch => Rounds(sides, batch, limits))];
        var result = new PeersResult(options, rounds, MeasuredModel.ProductBytes(package));
        return new Publication("peers", PeersReport.Section(result, MeasuredModel.Describe(package), time.GetLocalNow()), result.OthersShare, result.Goals).To(output, options.Report);
    }

    /// <summary>All rounds of a batch; in every other one the sides come in the opposite order.</summary>
    private IReadOnlyList<PeersRound> Rounds((string Runtime, string Model)[] sides, int batch, LimitProbe limits)
    {
        var turns = new Dictionary<string, PeerTurns>();
        try
        {
            foreach (var (runtime, model) in sides) turns.Add(runtime, new PeerTurns(runtime, model, options.Prompt, options.Tokens, options.Threads, batch, answers: 1));
            return [.. Enumerable.Range(0, options.Rounds).Select(round => Round(turns, batch, limits, backwards: round % 2 == 1))];
        }
        finally
        {
            foreach (PeerTurns side in turns.Values) side.Dispose();
        }
    }

    private PeersRound Round(Dictionary<string, PeerTurns> turns, int batch, LimitProbe limits, bool backwards)
    {
        _machine.Wait();
        double rate = limits.Measure().ReadRate;
        var round = new PeersRound(batch, (backwards ? turns.Reverse() : turns).ToDictionary(side => side.Key, side => side.Value.Next()), rate);
        string rates = string.Join(", ", round.Runs.Select(run => string.Create(CultureInfo.InvariantCulture, $"{run.Key} {PeersResult.DecodeRate(run.Value, options.Tokens):F0}")));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  batch {batch}: {rates} tokens/s; memory reads {rate / 1e9:F1} GB/s; others {round.OthersShare:P0}"));
        return round;
    }
}
