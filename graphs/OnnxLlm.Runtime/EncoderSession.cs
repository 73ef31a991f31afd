using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Encoders;

namespace OnnxLlm.Runtime;

/// <summary>A sequence for an encoder.</summary>
/// <param name="Tokens">One at least.</param>
/// <param name="Places">Where in it scores are wanted, rising; of a classifier at the first token alone.</param>
public sealed record EncoderInput(ImmutableArray<int> Tokens, ImmutableArray<int> Places)
{
    /// <summary>A sequence for a classifier.</summary>
    public static EncoderInput Classified(ImmutableArray<int> tokens) => new(tokens, [0]);
}

/// <summary>
/// A loaded encoder that finds hidden tokens, or gives texts their labels. Sequences of different lengths are read in one run, padded behind; what one of them gets does not depend on the
/// others but for the last bits, as sums over more rows may be added in another order. Used by one thread.
/// </summary>
public sealed class EncoderSession : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly GrowingTensor _logits;
    private readonly long _padding;
    private readonly bool _classifies;

    /// <exception cref="ModelRuntimeException">The package holds a decoder, the device is no CPU, or the model gives no numbers.</exception>
    public EncoderSession(ModelPackage package, SessionSettings settings)
    {
        if (!package.Config.IsEncoder) throw new ModelRuntimeException($"{package.Folder} holds {package.Config.Kind} ({package.Config.ModelType}), which neither finds hidden tokens nor gives labels.");
        if (settings.Device.IsCuda) throw new ModelRuntimeException($"{package.Folder}: {package.Config.ModelType} models run on the CPU; their graphs were not written for a GPU.");
        (MaxLength, _padding, _classifies) = (package.Config.MaxPositions, package.Config.PadTokenId ?? 0, package.Config.IsClassifier);
        Scores = _classifies ? package.Config.Labels.Length : package.Config.VocabularySize;
        _session = new OrtSession(package.ModelPath, settings);
        _bound = _session.Bind();
        _logits = new GrowingTensor(settings.Device, Scores, long.MaxValue);
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

    /// <summary>V or C, scores of a place: one for each token of the vocabulary, or for each label.</summary>
    public int Scores { get; }

    /// <summary>[n, V] scores of what stands at each place, sequence by sequence, or [n, C] of the labels of each sequence; valid until the next call.</summary>
    /// <param name="inputs">With one place at least among them; for a classifier each with the first alone.</param>
    public ReadOnlySpan<float> Score(IReadOnlyList<EncoderInput> inputs)
    {
        int time = inputs.Max(input => input.Tokens.Length), places = inputs.Sum(input => input.Places.Length);
        using TensorBuffer ids = Rows(), mask = Rows(), wanted = Rows();
        ids.Span<long>().Fill(_padding);
        foreach (var (row, input) in inputs.Index()) Put(input, Row(ids, row), Row(mask, row), Row(wanted, row));
        TensorBuffer logits = _logits.For(places).Host;
        _bound.Input(MaskedLmGraph.InputIds, ids).Input(MaskedLmGraph.AttentionMask, mask);
        if (!_classifies) _bound.Input(MaskedLmGraph.LogitsMask, wanted);
        _bound.Output(MaskedLmGraph.Logits, logits.View(0, places, Scores)).Run();
        return logits.Span<float>()[..(places * Scores)];

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
