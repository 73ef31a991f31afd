using System.Collections.Immutable;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Every kernel that a session with <see cref="SessionSettings.Kernels"/> registers.</summary>
public static class KernelList
{
    /// <summary>Names of the functions that have a kernel.</summary>
    public static IReadOnlyList<string> Names => [.. All.Select(kernel => kernel.Name)];

    internal static ImmutableArray<Kernel> All { get; } =
    [
        Accumulate.Kernel, AdamW.Kernel, Sgd.Kernel, SquaredNorm.Kernel,
        RmsNorm.Kernel, RmsNormGrad.Kernel, LayerNorm.Kernel, LayerNormGrad.Kernel,
        SoftmaxCrossEntropy.Kernel, TokenLoss.Kernel,
        Gelu.Kernel, GeluGrad.Kernel, SwiGlu.Kernel, SwiGluGrad.Kernel,
        After.Kernel, RotaryEmbedding.Kernel, ScatterAddRows.Kernel, CausalAttention.Kernel, CausalAttentionGrad.Kernel,
    ];
}
