using OnnxLlm.Runtime;

namespace OnnxLlm.Serving.Engine;

/// <summary>The runner of real models: a generation graph in ONNX Runtime. It owns the session.</summary>
internal sealed class OnnxModelRunner(GenerationSession session) : IModelRunner
{
    public int Slots => session.Slots;

    public int MaxLength => session.MaxLength;

    public int VocabularySize => session.VocabularySize;

    public ReadOnlySpan<float> Prefill(int slot, ReadOnlySpan<int> tokens, int past) => session.Prefill(slot, tokens, past);

    public ReadOnlySpan<float> Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts) => session.Decode(tokens, pasts);

    public void Move(int from, int to) => session.Move(from, to);

    public void Dispose() => session.Dispose();
}
