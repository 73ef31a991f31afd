using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Support;

/// <summary>A real runner, where a test can do something between two steps, on the engine's thread.</summary>
internal sealed class WatchedRunner(IModelRunner inner, Action beforeDecode) : IModelRunner
{
    public int Slots => inner.Slots;

    public int MaxLength => inner.MaxLength;

    public int VocabularySize => inner.VocabularySize;

    public int Width => inner.Width;

    public bool GivesAll => inner.GivesAll;

    public long BytesOf(int length) => inner.BytesOf(length);

    public ReadOnlySpan<float> Prefill(int slot, ReadOnlySpan<int> tokens, int past) => inner.Prefill(slot, tokens, past);

    public ReadOnlySpan<float> Score(int slot, ReadOnlySpan<int> tokens, int past) => inner.Score(slot, tokens, past);

    public ReadOnlySpan<float> Hidden(int slot, ReadOnlySpan<int> tokens, int past) => inner.Hidden(slot, tokens, past);

    public ReadOnlySpan<float> Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        beforeDecode();
        return inner.Decode(tokens, pasts);
    }

    public ReadOnlySpan<int> DecodeBest(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        beforeDecode();
        return inner.DecodeBest(tokens, pasts);
    }

    public bool ReadsWhileDecoding => inner.ReadsWhileDecoding;

    public ReadOnlySpan<float> DecodeAndRead(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past)
    {
        beforeDecode();
        return inner.DecodeAndRead(tokens, pasts, slot, prompt, past);
    }

    public ReadOnlySpan<float> DecodedScores() => inner.DecodedScores();

    public void Move(int from, int to) => inner.Move(from, to);

    public void Save(int slot, int length, int entry) => inner.Save(slot, length, entry);

    public void Load(int entry, int length, int slot) => inner.Load(entry, length, slot);

    public void Drop(int entry) => inner.Drop(entry);

    public void Dispose() => inner.Dispose();
}
