using OnnxLlm.Runtime;

namespace OnnxLlm.Serving.Engine;

/// <summary>The runner of real models: a generation graph in ONNX Runtime. It owns the session and what was saved of its slots.</summary>
internal sealed class OnnxModelRunner(GenerationSession session) : IModelRunner
{
    private readonly Dictionary<int, SlotSnapshot> _entries = [];

    public int Slots => session.Slots;

    public int MaxLength => session.MaxLength;

    public int VocabularySize => session.VocabularySize;

    public long BytesOf(int length) => session.SnapshotBytes(length);

    public ReadOnlySpan<float> Prefill(int slot, ReadOnlySpan<int> tokens, int past) => session.Prefill(slot, tokens, past);

    public int Width => session.Width;

    public bool GivesAll => session.GivesAll;

    public ReadOnlySpan<float> Score(int slot, ReadOnlySpan<int> tokens, int past) => session.Score(slot, tokens, past);

    public ReadOnlySpan<float> Hidden(int slot, ReadOnlySpan<int> tokens, int past) => session.Hidden(slot, tokens, past);

    public ReadOnlySpan<float> Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts) => session.Decode(tokens, pasts);

    public ReadOnlySpan<int> DecodeBest(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts) => session.DecodeBest(tokens, pasts);

    public ReadOnlySpan<float> DecodedScores() => session.DecodedScores();

    public bool ReadsWhileDecoding => session.ReadsWhileDecoding;

    public ReadOnlySpan<float> DecodeAndRead(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past) => session.DecodeAndRead(tokens, pasts, slot, prompt, past);

    public void Move(int from, int to) => session.Move(from, to);

    public void Save(int slot, int length, int entry) => _entries.Add(entry, session.Save(slot, length));

    public void Load(int entry, int length, int slot) => session.Load(_entries[entry], length, slot);

    public void Drop(int entry)
    {
        if (_entries.Remove(entry, out var snapshot)) snapshot.Dispose();
    }

    public void Dispose()
    {
        foreach (var snapshot in _entries.Values) snapshot.Dispose();
        session.Dispose();
    }
}
