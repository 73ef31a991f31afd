using OnnxLlm.Benchmarks.Decode;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>Greedy decoding of some sequences side by side, as one runtime does it.</summary>
internal abstract class PeerLoop : IDisposable
{
    /// <summary>Reads the prompts, all of one length, and chooses a token behind each; then adds tokens to all of them at once.</summary>
    public AnswerTime Answer(int[][] prompts, int tokens, TimeProvider time)
    {
        long begin = time.GetTimestamp();
        Begin(prompts, prompts[0].Length + tokens);
        TimeSpan first = time.GetElapsedTime(begin);
        for (int i = 1; i < tokens; i++) Step();
        return new(first.TotalMilliseconds, (time.GetElapsedTime(begin) - first).TotalMilliseconds, tokens);
    }

    public abstract void Dispose();

    /// <param name="prompts">One for each sequence.</param>
    /// <param name="length">Tokens of a whole sequence.</param>
    protected abstract void Begin(int[][] prompts, int length);

    protected abstract void Step();
}
