using System.Collections.Immutable;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Generation;

/// <summary>A parameter of the generation graph as it comes from the family's files: their tensors side by side, matrices turned where they are [out, in].</summary>
internal sealed record MergedWeight(ImmutableArray<string> Sources, bool Transposed)
{
    /// <summary>A matrix [in, Σ out], or a vector [Σ out].</summary>
    public TensorData Read(WeightSource weights)
    {
        TensorData[] parts = [.. Sources.Select(name => weights(name) ?? throw new GraphException($"The weights lack '{name}'."))];
        if (parts.Length == 1 && !Transposed) return parts[0];

        var (rows, outputs) = Transposed ? (parts[0].Shape[1].Value, parts.Sum(p => p.Shape[0].Value)) : (1, parts.Sum(p => p.Shape.ElementCount));
        float[] merged = new float[rows * outputs];
        int column = 0;
        foreach (var part in parts) column += Place(part.As<float>(), (int)rows, merged.AsSpan(column), (int)outputs);
        return TensorData.Of<float>(ElementType.Float, Transposed ? [rows, outputs] : [outputs], merged);
    }

    /// <summary>Writes a tensor [out, in] as the columns of a matrix with <paramref name="stride"/> of them; returns how many.</summary>
    private static int Place(ReadOnlySpan<float> part, int rows, Span<float> target, int stride)
    {
        int columns = part.Length / rows;
        for (int column = 0; column < columns; column++)
            for (int row = 0; row < rows; row++)
                target[row * stride + column] = part[column * rows + row];
        return columns;
    }
}
