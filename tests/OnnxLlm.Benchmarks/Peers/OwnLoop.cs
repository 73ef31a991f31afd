using System.Numerics.Tensors;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The session that our server runs on.</summary>
internal sealed class OwnLoop(ModelPackage package, int batch, int length, int threads) : PeerLoop
{
    private readonly GenerationSession _session = new(package, batch, length, new SessionSettings { Threads = threads });
    private readonly int[] _tokens = new int[batch], _pasts = new int[batch];

    public override void Dispose() => _session.Dispose();

    protected override void Begin(int[][] prompts, int length)
    {
        for (int slot = 0; slot < prompts.Length; slot++)
        {
            _tokens[slot] = TensorPrimitives.IndexOfMax(_session.Prefill(slot, prompts[slot], past: 0));
            _pasts[slot] = prompts[slot].Length;
        }
    }

    protected override void Step()
    {
        ReadOnlySpan<float> scores = _session.Decode(_tokens, _pasts);
        for (int slot = 0; slot < _tokens.Length; slot++)
        {
            _tokens[slot] = TensorPrimitives.IndexOfMax(scores.Slice(slot * _session.VocabularySize, _session.VocabularySize));
            _pasts[slot]++;
        }
    }
}
