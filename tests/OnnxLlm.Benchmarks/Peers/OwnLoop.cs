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
        _session.DecodeBest(_tokens, _pasts).CopyTo(_tokens);
        for (int slot = 0; slot < _pasts.Length; slot++) _pasts[slot]++;
    }
}
