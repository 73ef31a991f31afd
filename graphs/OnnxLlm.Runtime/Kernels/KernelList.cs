using System.Collections.Immutable;
using System.Numerics;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Every kernel that a session with <see cref="SessionSettings.Kernels"/> registers.</summary>
public static class KernelList
{
    /// <summary>Names of the functions that have a kernel.</summary>
    public static IReadOnlyList<string> Names => [.. All.Select(kernel => kernel.Name)];

    /// <summary>What decides the last bits of the kernels' results: this code, and the form that runs on this processor.</summary>
    public static string Version { get; } = FormattableString.Invariant($"{typeof(KernelList).Module.ModuleVersionId} {CustomOperator.Widest} {Vector<float>.Count} {(QuantizedProduct.Kernel is null ? "" : QuantizedForms.Best)}");

    /// <summary>The input of a function whose memory its output may take over, or null.</summary>
    internal static int? Overwritten(string function, int output) => (All.FirstOrDefault(kernel => kernel.Name == function)?.Reuse, output) switch
    {
        (Reuse.FirstForFirst, 0) => 0,
        (Reuse.FirstForSecond, 1) => 0,
        (Reuse.FirstForThird, 2) => 0,
        (Reuse.SecondAndThirdForFirstAndSecond, 0 or 1) => output + 1,
        (Reuse.ParameterAndMoments or Reuse.ParameterAndScaledMoments, 0) => 0,
        (Reuse.ParameterAndMoments or Reuse.ParameterAndScaledMoments, _) => output + 1,
        _ => null,
    };

    internal static ImmutableArray<Kernel> All { get; } =
    [
        Accumulate.Kernel, AdamW.Kernel, QuantizedAdamW.Kernel, Sgd.Kernel, SquaredNorm.Kernel,
        RmsNorm.Kernel, RmsNorm.OfSum, RmsNormGrad.Kernel, RmsNormGrad.WithValue, LayerNorm.Kernel, LayerNorm.OfSum, LayerNormGrad.Kernel, LayerNormGrad.WithValue,
        SoftmaxCrossEntropy.Kernel, TokenLoss.Kernel, LinearCrossEntropy.Kernel, LinearTokenLoss.Kernel,
        Gelu.Kernel, GeluGrad.Kernel, GeluGrad.WithValue, SwiGlu.Kernel, SwiGluGrad.Kernel, SwiGluGrad.WithValue, SwiGlu.Packed,
        MatrixProduct.Plain, MatrixProduct.WithBias, MatrixProduct.Accumulated,
        After.Kernel, RotaryEmbedding.Kernel, ScatterAddRows.Kernel, CausalAttention.Kernel, CausalAttentionGrad.Kernel, CausalAttention.Packed, CausalAttentionGrad.Packed,
        .. CachedAttention.Kernels,
        .. QuantizedProduct.Kernel is { } quantized ? [quantized] : ImmutableArray<Kernel>.Empty,
    ];
}
