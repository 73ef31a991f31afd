using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>Passes of the graph as a package holds it: a row for each sequence, so that a pass reads tokens of one slot, or decodes the first slots.</summary>
internal sealed class RowPasses : ForwardPasses
{
    private readonly OrtSession _session;
    private readonly KeyValueCache _cache;
    private readonly MirroredTensor _ids, _mask, _places;
    private readonly RecordedSteps? _recorded;
    private readonly Dictionary<(int Slot, int Count, Wanted Wanted), BoundSession> _bindings = [];
    private readonly int _maxLength;

    public RowPasses(GenerationModel model, KeyValueCache cache, ModelConfig config, Device device, int slots, int maxLength) : base(config, device, slots, maxLength)
    {
        (_session, _cache, _maxLength) = (model.Prompts, cache, maxLength);
        _ids = new(device, ElementType.Int64, Math.Max(slots, maxLength));
        _mask = new(device, ElementType.Int64, slots, maxLength);
        _places = new(device, ElementType.Int64, maxLength);
        for (int place = 0; place < maxLength; place++) _places.Host.Span<long>()[place] = place - maxLength;
        _places.Upload();
        if (model.Tokens is { } recorded) _recorded = new(recorded, cache, Logits.OnDevice, device, slots);
    }

    public override bool ReadsWhileDecoding => false;

    public override void Append(int slot, ReadOnlySpan<int> tokens, int past, Wanted wanted)
    {
        Set(tokens);
        _mask.Host.Span<long>()[..(past + tokens.Length)].Fill(1);
        Run(slot, 1, tokens.Length, past + tokens.Length, wanted);
    }

    public override void Step(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        if (_recorded is not null) _recorded.Run(tokens, pasts);
        else
        {
            Set(tokens);
            Run(0, tokens.Length, 1, SetMask(pasts), Wanted.LastScores);
        }
    }

    /// <summary>On a GPU they are chosen there, and only they come to the host.</summary>
    public override void Best(Span<int> tokens)
    {
        if (_recorded is not null) _recorded.Best(tokens);
        else base.Best(tokens);
    }

    public override void Dispose()
    {
        foreach (BoundSession bound in _bindings.Values) bound.Dispose();
        _recorded?.Dispose();
        _ids.Dispose();
        _mask.Dispose();
        _places.Dispose();
        base.Dispose();
    }

    /// <summary>The cache and the scores of a group of slots are bound once; the ids and the mask change their shape with every call.</summary>
    private void Run(int slot, int count, int sequence, int total, Wanted wanted)
    {
        if (!_bindings.TryGetValue((slot, count, wanted), out BoundSession? bound))
        {
            bound = _bindings[(slot, count, wanted)] = _session.Bind();
            _cache.Bind(bound, slot, count);
            if (wanted == Wanted.LastScores) bound.Output(GenerationGraph.Logits, Logits.OnDevice.Rows(0, count));
        }
        if (wanted == Wanted.AllScores) bound.Input(GenerationGraph.LogitsAt, _places.OnDevice.Rows(_maxLength - sequence, sequence)).Output(GenerationGraph.Logits, AllLogits(sequence));
        if (wanted == Wanted.HiddenStates) bound.Output(GenerationGraph.HiddenStates, Hidden(sequence));
        bound.Input(GenerationGraph.InputIds, _ids.OnDevice, count, sequence).Input(GenerationGraph.AttentionMask, _mask.OnDevice, count, total);
        _ids.Upload((long)count * sequence);
        _mask.Upload((long)count * total);
        bound.Run();
    }

    private void Set(ReadOnlySpan<int> tokens)
    {
        Span<long> ids = _ids.Host.Span<long>();
        for (int i = 0; i < tokens.Length; i++) ids[i] = tokens[i];
    }

    /// <summary>Row i has ones for its past and its new token, then zeros up to the length of the longest row. Returns that length.</summary>
    private int SetMask(ReadOnlySpan<int> pasts)
    {
        int total = 1;
        foreach (int past in pasts) total = Math.Max(total, past + 1);
        Span<long> mask = _mask.Host.Span<long>();
        for (int row = 0; row < pasts.Length; row++)
        {
            mask.Slice(row * total, pasts[row] + 1).Fill(1);
            mask.Slice(row * total + pasts[row] + 1, total - pasts[row] - 1).Clear();
        }
        return total;
    }
}
