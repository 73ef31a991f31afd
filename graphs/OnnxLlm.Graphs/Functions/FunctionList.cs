using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>Every fused operator. Tests hold each to its gradient rule, and each kernel of the runtime to its function's body.</summary>
public static class FunctionList
{
    public static ImmutableArray<Function> All { get; } =
    [
        RmsNorm.Forward, RmsNorm.Backward, RmsNorm.BackwardWithValue,
        LayerNorm.Forward, LayerNorm.Backward, LayerNorm.BackwardWithValue,
        SkipNorm.Rms, SkipNorm.Layer,
        Gelu.Forward, Gelu.Backward, Gelu.BackwardWithValue,
        SwiGlu.Forward, SwiGlu.Backward, SwiGlu.BackwardWithValue, SwiGlu.Packed,
        RotaryEmbedding.Forward, ScatterAddRows.Forward,
        CausalAttention.Forward, CausalAttention.Backward, PackedAttention.Forward, PackedAttention.Backward,
        MaskedAttention.Forward, MaskedAttention.Backward, BiasedAttention.Forward, BiasedAttention.Backward,
        SoftmaxCrossEntropy.Forward, SoftmaxCrossEntropy.TokenLoss,
        LinearCrossEntropy.Forward, LinearCrossEntropy.TokenLoss,
        MatrixProduct.Plain, MatrixProduct.WithBias, MatrixProduct.Accumulated,
        QuantizedProduct.Forward, .. CachedAttention.Forms, .. RaggedAttention.Forms,
        After.Forward, SquaredNorm.Forward, Accumulate.Forward, AdamW.Forward, QuantizedAdamW.Forward, Sgd.Forward,
        Adam.Forward, Momentum.Forward, AdaGrad.Forward, RmsProp.Forward, NewtonSchulz.Forward,
    ];

    public static Function Named(string name) =>
        All.FirstOrDefault(f => f.Name == name) ?? throw new GraphException($"There is no function '{name}'.{NearestName.Hint(name, [.. All.Select(f => f.Name)])}");
}
