using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The step loop of one runtime at one batch, in a process of its own that stays: warm, and ready for short turns.</summary>
internal sealed class PeerTurns : IDisposable
{
    private readonly WorkerTurns _turns;

    /// <param name="answers">Answers of a turn, one after the other, each to all sequences of the batch.</param>
    public PeerTurns(string runtime, string model, int prompt, int tokens, int threads, int batch, int answers)
    {
        int[] numbers = [prompt, tokens, threads, .. Enumerable.Repeat(batch, answers)];
        _turns = WorkerProcess.Self(runtime, ["peers-worker", runtime, model, .. numbers.Select(number => number.ToString(CultureInfo.InvariantCulture))]).Begin();
        _turns.Next();
    }

    public WorkerRun Next() => _turns.Next();

    public void Dispose() => _turns.Dispose();
}
