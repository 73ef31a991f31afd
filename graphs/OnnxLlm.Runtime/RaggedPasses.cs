using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>Passes of the graph that takes new tokens in one row, see <see cref="RaggedGeneration"/>, on the CPU: whatever is to be read and decoded goes through it at once.</summary>
internal sealed class RaggedPasses(GenerationModel model, KeyValueCache cache, ModelConfig config, int slots, int maxLength) : ForwardPasses(config, Device.Cpu, slots, maxLength)
{
    private readonly TensorBuffer _ids = Numbers(slots + maxLength), _slots = Numbers(slots + maxLength), _positions = Numbers(slots + maxLength), _scored = Numbers(slots + maxLength);

    /// <summary>By the number of last scores; other results have a new place for every pass, and one binding.</summary>
    private readonly Dictionary<(int LastScores, Wanted Wanted), BoundSession> _bindings = [];

    private readonly int _cacheSlots = slots;
    private int _count;

    public override bool ReadsWhileDecoding => true;

    public override void Append(int slot, ReadOnlySpan<int> tokens, int past, Wanted wanted)
    {
        _count = 0;
        Add(slot, tokens, past);
        Run(wanted, wanted == Wanted.AllScores ? tokens.Length : 1);
    }

    public override void Step(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        Set(tokens, pasts);
        Run(Wanted.LastScores, tokens.Length);
    }

    public override void Step(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past)
    {
        Set(tokens, pasts);
        Add(slot, prompt, past);
        Run(Wanted.LastScores, tokens.Length + 1, between: prompt.Length - 1);
    }

    public override void Dispose()
    {
        foreach (BoundSession bound in _bindings.Values) bound.Dispose();
        foreach (TensorBuffer buffer in (TensorBuffer[])[_ids, _slots, _positions, _scored]) buffer.Dispose();
        base.Dispose();
    }

    private static TensorBuffer Numbers(int count) => TensorBuffer.Zeros(ElementType.Int64, count);

    private void Set(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        _count = 0;
        for (int slot = 0; slot < tokens.Length; slot++) Add(slot, tokens.Slice(slot, 1), pasts[slot]);
    }

    private void Add(int slot, ReadOnlySpan<int> tokens, int past)
    {
        Span<long> ids = _ids.Span<long>(), slots = _slots.Span<long>(), positions = _positions.Span<long>();
        for (int i = 0; i < tokens.Length; i++, _count++) (ids[_count], slots[_count], positions[_count]) = (tokens[i], slot, past + i);
    }

    /// <summary>
    /// The scores after so many tokens are given: the last, and others before it, with a number of tokens <paramref name="between"/> them.
    /// </summary>
    private void Run(Wanted wanted, int scored, int between = 0)
    {
        var key = (wanted == Wanted.LastScores ? scored : 0, wanted);
        if (!_bindings.TryGetValue(key, out BoundSession? bound))
        {
            bound = _bindings[key] = model.Prompts.Bind();
            cache.Bind(bound, 0, _cacheSlots);
            if (wanted == Wanted.LastScores) bound.Output(GenerationGraph.Logits, Logits.OnDevice.Rows(0, scored));
        }
        if (wanted == Wanted.AllScores) bound.Output(GenerationGraph.Logits, AllLogits(scored));
        if (wanted == Wanted.HiddenStates) bound.Output(GenerationGraph.HiddenStates, Hidden(_count));
        Span<long> places = _scored.Span<long>();
        for (int i = 0; i < scored - 1; i++) places[i] = i - scored - between;
        places[scored - 1] = -1;
        bound.Input(GenerationGraph.InputIds, _ids, 1, _count).Input(GenerationGraph.LogitsAt, _scored, scored);
        bound.Input(RaggedGeneration.TokenSlots, _slots, 1, _count).Input(RaggedGeneration.TokenPositions, _positions, 1, _count).Run();
    }
}
