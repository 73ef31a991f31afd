using System.Numerics.Tensors;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// The embedding of a text: the mean of the hidden states of its tokens, brought to length 1. The engine adds to it chunk by chunk; its reader looks at it
/// once the sequence has ended.
/// </summary>
internal sealed class EmbeddingSum : PromptReader
{
    private float[] _sum = [];

    public override void Read(IModelRunner runner, PrefillChunk chunk) => Add(runner.Hidden(chunk.Slot, chunk.Tokens, chunk.Start), runner.Width);

    /// <param name="states">[n, D], of the next tokens.</param>
    private void Add(ReadOnlySpan<float> states, int width)
    {
        if (_sum.Length == 0) _sum = new float[width];
        for (var start = 0; start < states.Length; start += width) TensorPrimitives.Add(_sum, states.Slice(start, width), _sum);
    }

    /// <summary>What the model gave were numbers.</summary>
    public bool IsFinite => Array.TrueForAll(_sum, float.IsFinite);

    /// <summary>Its first <paramref name="dimensions"/> elements, brought to length 1 among themselves; null for all.</summary>
    public float[] Unit(int? dimensions)
    {
        var part = _sum[..Math.Min(dimensions ?? _sum.Length, _sum.Length)];
        var length = TensorPrimitives.Norm<float>(part);
        if (length > 0) TensorPrimitives.Divide(part, length, part);
        return part;
    }
}
