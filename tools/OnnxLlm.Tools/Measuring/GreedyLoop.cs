using System.Numerics.Tensors;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Measuring;

/// <summary>
/// The bare decode loop: forward pass, likeliest token, next forward pass, and nothing else. No server can be faster with this session.
/// </summary>
/// <param name="batch">Sequences decoded together.</param>
internal sealed class GreedyLoop(GenerationSession session, int batch, TimeProvider time)
{
    private readonly int[] _tokens = new int[batch], _pasts = new int[batch];

    /// <summary>Reads one prompt per sequence, one after the other, then adds tokens to all of them at once.</summary>
    public AnswerTime Run(Prompts prompts, int tokens)
    {
        int[][] read = [.. Enumerable.Range(0, batch).Select(_ => prompts.Next())];
        long[] stamps = new long[tokens];
        long begin = time.GetTimestamp();
        for (int slot = 0; slot < batch; slot++) Read(slot, read[slot]);
        stamps[0] = time.GetTimestamp();
        for (int i = 1; i < tokens; i++)
        {
            Step();
            stamps[i] = time.GetTimestamp();
        }
        return AnswerTime.Of(time, begin, stamps, tokens);
    }

    private void Read(int slot, int[] prompt)
    {
        _tokens[slot] = TensorPrimitives.IndexOfMax(session.Prefill(slot, prompt, past: 0));
        _pasts[slot] = prompt.Length;
    }

    private void Step()
    {
        session.DecodeBest(_tokens, _pasts).CopyTo(_tokens);
        for (int slot = 0; slot < batch; slot++) _pasts[slot]++;
    }
}
