using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Peers;

namespace OnnxLlm.Tests.Benchmarks;

public sealed class PeersMeasuringTests
{
    private static readonly PeersOptions Options = new(Prompt: 100, Tokens: 51, Rounds: 2, Threads: 2, Report: null);

    /// <summary>Two rounds, the second half as fast: 50 tokens behind the prompt in 0.75 and 1.5 s by ours; a peer takes twice as long and half the memory.</summary>
    [Fact]
    public void PeersResult_OfRounds_ComparesWithinEach()
    {
        PeersResult result = Result(others: 0);

        Assert.Equal(50, result.Median(PeersWorker.Own, 1, result.Decode), 9);
        Assert.Equal(4000, result.Median(PeersWorker.Own, 4, result.Prefill), 9);
        Assert.Equal(2, result.Ratio(PeersWorker.Llama, 16, result.Decode), 9);
        Assert.Equal(2, result.Ratio(PeersWorker.Llama, 16, PeersResult.Resident), 9);
        Assert.Equal(0.8, result.BandwidthShare, 9);
    }

    [Fact]
    public void PeersResult_OfAQuietMachine_HasAGoalForEachComparison()
    {
        string[] goals = [.. Result(others: 0).Goals.Select(goal => $"{goal}")];

        Assert.Equal(17, goals.Length);
        Assert.Contains("RESULT decode_over_llama_cpp_batch_4 2 goal >= 2.5 missed", goals);
        Assert.Contains("RESULT decode_over_ort_genai_batch_32 2 goal >= 1.05 met", goals);
        Assert.Contains("RESULT resident_over_llama_cpp_batch_1 2 goal <= 1.2 missed", goals);
        Assert.Contains("RESULT decode_share_of_bandwidth_batch_1 0.8 goal >= 0.75 met", goals);
    }

    /// <summary>Memory is what it is, whoever else ran.</summary>
    [Fact]
    public void PeersResult_OfABusyMachine_HasNoSpeed() =>
        Assert.All(Result(others: 0.2).Goals, goal => Assert.Equal(!goal.AtMost, double.IsNaN(goal.Value)));

    private static PeersResult Result(double others) =>
        new(Options, [.. PeersResult.Batches.SelectMany(batch => Enumerable.Range(1, 2).Select(slower => Round(batch, slower, others)))], ProductBytes: 1.8e9);

    /// <summary>In the second round the machine, memory and all, is half as fast.</summary>
    private static PeersRound Round(int batch, int slower, double others) => new(
        batch,
        PeersResult.Runtimes.ToDictionary(name => name, name => Run(batch, slower * (name == PeersWorker.Own ? 3 : 6) / 4.0, name == PeersWorker.Own ? 400 : 200, others)),
        ReadRate: 1.5e11 / slower);

    private static WorkerRun Run(int batch, double slowness, long bytes, double others) =>
        new([new WorkerLine { Step = 1, Batch = batch, FirstMilliseconds = 100 * slowness, Milliseconds = 1000 * slowness }], bytes, others);
}
