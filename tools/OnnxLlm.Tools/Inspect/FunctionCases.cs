using System.Collections.Immutable;
using OnnxLlm.Graphs;

namespace OnnxLlm.Tools.Inspect;

/// <summary>Cases for the gradient rule of every fused operator that has one.</summary>
internal static class FunctionCases
{
    internal static ImmutableArray<GradientCase> Gradients { get; } =
    [
        new("RmsNorm", "rows", [[3, 4], [4]], (g, x) => g.RmsNorm(x[0], x[1], 1e-3f)),
        new("RmsNorm", "symbolic batch and time", [["B", "T", 5], [5]], (g, x) => g.RmsNorm(x[0], x[1], 1e-3f)),
        new("LayerNorm", "rows", [[3, 4], [4], [4]], (g, x) => g.LayerNorm(x[0], x[1], x[2], 1e-1f)),
        new("LayerNorm", "symbolic batch and time", [["B", "T", 5], [5], [5]], (g, x) => g.LayerNorm(x[0], x[1], x[2], 1e-1f)),
        new("Gelu", "plain", [[4, 5]], (g, x) => g.Gelu(x[0])),
        new("SwiGlu", "plain", [[2, 2, 3], [2, 2, 3]], (g, x) => g.SwiGlu(x[0], x[1])),
        new("RotaryEmbedding", "one head", [[2, 3, 4]], (g, x) => g.RotaryEmbedding(x[0], Fixed(x[0], 3, 2), Fixed(x[0], 3, 2) * 2, 1)),
        new("RotaryEmbedding", "three heads", [["B", 3, 12]], (g, x) => g.RotaryEmbedding(x[0], Fixed(x[0], 3, 2), Fixed(x[0], 3, 2) * 2, 3)),
        new("CausalAttention", "one head", [[2, 3, 4], [2, 3, 4], [2, 3, 4]], (g, x) => g.CausalAttention(x[0], x[1], x[2], 1, 1)),
        new("CausalAttention", "two heads", [[1, 4, 6], [1, 4, 6], [1, 4, 6]], (g, x) => g.CausalAttention(x[0], x[1], x[2], 2, 2)),
        new("CausalAttention", "four heads over two", [[2, 3, 8], [2, 3, 4], [2, 3, 4]], (g, x) => g.CausalAttention(x[0], x[1], x[2], 4, 2)),
        new("CausalAttention", "symbolic, two heads over one", [["B", "T", 4], ["B", "T", 2], ["B", "T", 2]], (g, x) => g.CausalAttention(x[0], x[1], x[2], 2, 1)),
        new("CausalAttention", "one position", [[2, 1, 4], [2, 1, 4], [2, 1, 4]], (g, x) => g.CausalAttention(x[0], x[1], x[2], 2, 2)),
        new("MaskedAttention", "one head, nothing masked", [[2, 3, 4], [2, 3, 4], [2, 3, 4]], (g, x) => g.MaskedAttention(x[0], x[1], x[2], GradientCases.Ints(g, [2, 3], 1, 1, 1, 1, 1, 1), 1)),
        new("MaskedAttention", "two heads, padding behind and before", [[2, 4, 6], [2, 4, 6], [2, 4, 6]], (g, x) => g.MaskedAttention(x[0], x[1], x[2], GradientCases.Ints(g, [2, 4], 1, 1, 0, 0, 0, 1, 1, 1), 2)),
        new("MaskedAttention", "symbolic", [["B", "T", 4]], (g, x) => g.MaskedAttention(x[0], x[0] * 0.5, x[0] * -1, Seen(x[0]), 2)),
        new("BiasedAttention", "one head, a bias for each score", [[2, 3, 4], [2, 3, 4], [2, 3, 4], [2, 1, 3, 3]], (g, x) => g.BiasedAttention(x[0], x[1], x[2], x[3], 1)),
        new("BiasedAttention", "two heads, more keys than queries, one bias for all sequences", [[2, 2, 6], [2, 5, 6], [2, 5, 6], [1, 2, 2, 5]], (g, x) => g.BiasedAttention(x[0], x[1], x[2], x[3], 2)),
        new("BiasedAttention", "two heads, keys hidden", [[2, 3, 6], [2, 4, 6], [2, 4, 6]], (g, x) => g.BiasedAttention(x[0], x[1], x[2], HiddenKeys(x[0], [2, 4], 1, 1, 0, 0, 0, 1, 1, 1), 2)),
        new("BiasedAttention", "symbolic", [["B", "T", 4], [1, 2, 1, 1]], (g, x) => g.BiasedAttention(x[0], x[0] * 0.5, x[0] * -1, x[1], 2)),
        new("SoftmaxCrossEntropy", "every row counts", [[3, 4]], (g, x) => CrossEntropy(g, x[0], 1, 0, 3)),
        new("SoftmaxCrossEntropy", "some rows ignored", [[4, 5]], (g, x) => CrossEntropy(g, x[0], -100, 4, 0, -100)),
        new("SoftmaxCrossEntropy", "all rows ignored", [[2, 3]], (g, x) => CrossEntropy(g, x[0], -100, -100)),
        new("ScatterAddRows", "one row twice", [[4, 3], [3, 3]], (g, x) => g.ScatterAddRows(x[0], g.Int64s(1, 3, 1), x[1])),
        new("ScatterAddRows", "slices of more than one axis", [[4, 2, 3], [2, 2, 3]], (g, x) => g.ScatterAddRows(x[0], g.Int64s(2, 2), x[1])),
        new("ScatterAddRows", "single elements", [["V"], [3]], (g, x) => g.ScatterAddRows(x[0], g.Int64s(0, 1, 1), x[1])),
        new("SquaredNorm", "plain", [[2, 3]], (g, x) => g.SquaredNorm(x[0])),
    ];

    /// <summary>A constant without a pattern that a mistake could hide in.</summary>
    internal static Value Fixed(Value like, params ReadOnlySpan<long> shape)
    {
        double[] values = new double[TensorShape.Of(shape.ToArray()).ElementCount];
        for (int i = 0; i < values.Length; i++) values[i] = Math.Sin(1 + 2.3 * i);
        return like.Graph.Cast(like.Graph.Constant(TensorData.Of<double>(ElementType.Double, TensorShape.Of(shape.ToArray()), values)), like.Type);
    }

    /// <summary>A mask of ones for [B, T, ..] of any extents.</summary>
    private static Value Seen(Value x) => x.Graph.Cast(x.Graph.Equal(x.Graph.ReduceSum(x, false, 2), x.Graph.ReduceSum(x, false, 2)), ElementType.Int64);

    /// <summary>A bias [B, 1, 1, S] that hides the keys [B, S] that are not seen.</summary>
    internal static Value HiddenKeys(Value like, TensorShape keys, params long[] seen)
    {
        var g = like.Graph;
        return g.Cast(g.Unsqueeze(g.Unsqueeze(1 - GradientCases.Ints(g, keys, seen), 1), 1), like.Type) * -1e30;
    }

    private static Value CrossEntropy(GraphBuilder g, Value logits, params long[] labels) =>
        g.SoftmaxCrossEntropy(logits, g.Int64s(labels), g.Scalar(0.5, logits));
}
