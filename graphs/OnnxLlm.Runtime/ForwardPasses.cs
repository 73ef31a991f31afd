using System.Numerics.Tensors;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>What a pass is to give: the scores after the last token of each sequence, those after every token of one, or its hidden states.</summary>
internal enum Wanted { LastScores, AllScores, HiddenStates }

/// <summary>Passes of a generation model over the slots of a cache, and where their results are. Callers have checked what they ask for.</summary>
internal abstract class ForwardPasses(ModelConfig config, Device device, int slots, int maxLength) : IDisposable
{
    private readonly GrowingTensor _allLogits = new(device, config.VocabularySize, maxLength), _hidden = new(device, config.Width, maxLength);

    /// <summary>[slots, 1, V]: the last scores.</summary>
    protected MirroredTensor Logits { get; } = new(device, ElementType.Float, slots, 1, config.VocabularySize);

    /// <summary>A pass may read tokens of one slot and decode others.</summary>
    public abstract bool ReadsWhileDecoding { get; }

    /// <summary>Appends tokens to a slot.</summary>
    public abstract void Append(int slot, ReadOnlySpan<int> tokens, int past, Wanted wanted);

    /// <summary>Appends one token to each of the first slots.</summary>
    public abstract void Step(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts);

    /// <summary>Both: the last of the last scores are those after <paramref name="prompt"/>.</summary>
    public virtual void Step(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past) => throw new NotSupportedException();

    /// <summary>[rows, V] last scores of the pass that ran last.</summary>
    public ReadOnlySpan<float> LastScores(int rows)
    {
        Logits.Download((long)rows * config.VocabularySize);
        return Logits.Host.Span<float>()[..(rows * config.VocabularySize)];
    }

    /// <summary>[count, V] scores of a pass that was to give all.</summary>
    public ReadOnlySpan<float> AllScores(int count) => Read(_allLogits, count, config.VocabularySize);

    /// <summary>[count, D] hidden states of a pass that was to give them.</summary>
    public ReadOnlySpan<float> HiddenStates(int count) => Read(_hidden, count, config.Width);

    /// <summary>The token of each row's highest last score, ties to the lowest; −1 where it is not finite.</summary>
    public virtual void Best(Span<int> tokens)
    {
        ReadOnlySpan<float> scores = LastScores(tokens.Length);
        for (int row = 0; row < tokens.Length; row++)
        {
            ReadOnlySpan<float> ofRow = scores.Slice(row * config.VocabularySize, config.VocabularySize);
            int best = TensorPrimitives.IndexOfMax(ofRow);
            tokens[row] = float.IsFinite(ofRow[best]) ? best : -1;
        }
    }

    public virtual void Dispose()
    {
        Logits.Dispose();
        _allLogits.Dispose();
        _hidden.Dispose();
    }

    /// <summary>[count, 1, V], where all scores go.</summary>
    protected TensorBuffer AllLogits(int count) => _allLogits.For(count).OnDevice.View(0, count, 1, config.VocabularySize);

    /// <summary>[1, count, D], where hidden states go.</summary>
    protected TensorBuffer Hidden(int count) => _hidden.For(count).OnDevice.View(0, 1, count, config.Width);

    private static ReadOnlySpan<float> Read(GrowingTensor rows, int count, int width)
    {
        MirroredTensor tensor = rows.For(count);
        tensor.Download((long)count * width);
        return tensor.Host.Span<float>()[..(count * width)];
    }
}
