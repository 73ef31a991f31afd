using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Encoders;

namespace OnnxLlm.Runtime;

/// <summary>A sequence for an encoder.</summary>
/// <param name="Tokens">One at least.</param>
/// <param name="Places">Where in it scores are wanted, rising.</param>
public sealed record EncoderInput(ImmutableArray<int> Tokens, ImmutableArray<int> Places);

/// <summary>
/// A loaded encoder that finds hidden tokens. Sequences of different lengths are read in one run, padded behind; what one of them gets does not depend on the
/// others but for the last bits, as sums over more rows may be added in another order. Used by one thread.
/// </summary>
public sealed class EncoderSession : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly GrowingTensor _logits;
    private readonly long _padding;

    /// <exception cref="ModelRuntimeException">The package holds a decoder, the device is no CPU, or the model gives no numbers.</exception>
    public EncoderSession(ModelPackage package, SessionSettings settings)
    {
        if (!package.Config.IsEncoder) throw new ModelRuntimeException($"{package.Folder} holds {package.Config.Kind} ({package.Config.ModelType}), which finds no hidden tokens.");
        if (settings.Device.IsCuda) throw new ModelRuntimeException($"{package.Folder}: {package.Config.ModelType} models run on the CPU; their graphs were not written for a GPU.");
        (MaxLength, VocabularySize, _padding) = (package.Config.MaxPositions, package.Config.VocabularySize, package.Config.PadTokenId ?? 0);
        _session = new OrtSession(package.ModelPath, settings);
        _bound = _session.Bind();
        _logits = new GrowingTensor(settings.Device, VocabularySize, long.MaxValue);
        try
        {
            if (Score([new([0], [0])]).ContainsAnyExceptInRange(float.MinValue, float.MaxValue)) throw new ModelRuntimeException($"{package.Folder}: the model gives scores that are not finite.");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Tokens of a sequence, at most.</summary>
    public int MaxLength { get; }

    public int VocabularySize { get; }

    /// <summary>[n, V] scores of what stands at each place, sequence by sequence; valid until the next call.</summary>
    /// <param name="inputs">With one place at least among them.</param>
    public ReadOnlySpan<float> Score(IReadOnlyList<EncoderInput> inputs)
    {
        int time = inputs.Max(input => input.Tokens.Length), places = inputs.Sum(input => input.Places.Length);
        using TensorBuffer ids = Rows(), mask = Rows(), wanted = Rows();
        ids.Span<long>().Fill(_padding);
        foreach (var (row, input) in inputs.Index()) Put(input, Row(ids, row), Row(mask, row), Row(wanted, row));
        TensorBuffer logits = _logits.For(places).Host;
        _bound.Input(MaskedLmGraph.InputIds, ids).Input(MaskedLmGraph.AttentionMask, mask).Input(MaskedLmGraph.LogitsMask, wanted)
            .Output(MaskedLmGraph.Logits, logits.View(0, places, VocabularySize)).Run();
        return logits.Span<float>()[..(places * VocabularySize)];

        TensorBuffer Rows() => TensorBuffer.Zeros(ElementType.Int64, inputs.Count, time);
        Span<long> Row(TensorBuffer rows, int row) => rows.Span<long>().Slice(row * time, time);
    }

    public void Dispose()
    {
        _bound.Dispose();
        _session.Dispose();
        _logits.Dispose();
    }

    private static void Put(EncoderInput input, Span<long> ids, Span<long> mask, Span<long> wanted)
    {
        for (int t = 0; t < input.Tokens.Length; t++) (ids[t], mask[t]) = (input.Tokens[t], 1);
        foreach (int place in input.Places) wanted[place] = 1;
    }
}
