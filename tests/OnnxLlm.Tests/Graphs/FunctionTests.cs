using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Runtime.Kernels;
using OnnxLlm.Tools.Inspect;

namespace OnnxLlm.Tests.Graphs;

/// <summary>Kernel ≡ function body; the body, in double precision, is the specification.</summary>
public sealed class FunctionTests
{
    public static TheoryData<string> Cases => [.. KernelCases.All.Where(c => c.Reference == ElementType.Double).Select(c => c.ToString())];

    public static TheoryData<string> KernelNames => [.. KernelCases.All.Where(c => KernelList.Names.Contains(c.Function)).Select(c => c.ToString())];

    [Theory]
    [MemberData(nameof(KernelNames))]
    public void Kernel_EqualsBody(string name) => Check(name, kernels: true);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Body_InSinglePrecision_EqualsDouble(string name) => Check(name, kernels: false);

    [Fact]
    public void Functions_Every_HasACase() => Assert.Equal(
        FunctionList.All.Select(f => f.Name).Order(StringComparer.Ordinal),
        KernelCases.All.Select(c => c.Function).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void Kernels_Every_HasAFunction() => Assert.Empty(KernelList.Names.Except(FunctionList.All.Select(f => f.Name)));

    [Fact]
    public void Functions_WithoutGradient_AreTheDeclaredOnes() => Assert.Equal(
        ["RmsNormGrad", "RmsNormGradWithValue", "LayerNormGrad", "LayerNormGradWithValue", "SkipRmsNorm", "SkipLayerNorm", "GeluGrad", "GeluGradWithValue", "SwiGluGrad", "SwiGluGradWithValue", "PackedSwiGlu", "CausalAttentionGrad", "PackedAttention", "PackedAttentionGrad", "MaskedAttentionGrad", "BiasedAttentionGrad", "TokenLoss",
            "LinearCrossEntropy", "LinearTokenLoss", "MatrixProduct", "BiasedProduct", "AccumulatedProduct", "QuantizedProduct", .. OnnxLlm.Graphs.Functions.CachedAttention.Forms.Concat(RaggedAttention.Forms).Select(form => form.Name), "After", "Accumulate", "AdamW", "QuantizedAdamW", "Sgd", "Adam", "Momentum", "AdaGrad", "RmsProp", "NewtonSchulz"],
        FunctionList.All.Where(f => f.Gradient is null).Select(f => f.Name));

    private static void Check(string name, bool kernels)
    {
        Measurement measured = KernelCheck.Measure(KernelCases.All.Single(c => c.ToString() == name), kernels);
        Assert.True(measured.Passed, $"{name}: error {measured.Error:E1}, tolerance {measured.Tolerance:E1}");
    }
}
