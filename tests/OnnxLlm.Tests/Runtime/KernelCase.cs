using OnnxLlm.Runtime;
using static OnnxLlm.Tests.Runtime.KernelData;

namespace OnnxLlm.Tests.Runtime;

/// <summary>Inputs of a kernel, what a plain loop in double precision makes of them, and how far rounding may lead away from that.</summary>
internal sealed record KernelCase(OneNode Node, Func<TensorBuffer[]> Inputs, Func<double[][]> Expected, double Tolerance)
{
    /// <summary>
    /// Sizes are no multiples of any vector and need several parts. Tolerances are relative to the largest value of an output: 2^-24 = 6e-8 times
    /// the roundings in a chain, times the square root of the terms of a sum
    /// (a scalar sum of 1031 exponentials, all positive: up to 6e-5).
    /// </summary>
    public static IReadOnlyDictionary<string, KernelCase> All { get; } = new Dictionary<string, KernelCase>
    {
        ["After"] = new(KernelHarness.Node("After"), () => [Of(X), Of(Y)], () => [[.. X.Select(x => (double)x)]], 0),
        ["SquaredNorm"] = new(KernelHarness.Node("SquaredNorm"), () => [Of(X)], () => [[X.Sum(Square)]], 1e-6),
        ["Sgd"] = new(
            KernelHarness.Node("Sgd", ("weight_decay", 0.1f)),
            () => [Of(X), Of(Y), TensorBuffer.Of([0.5f]), TensorBuffer.Of([2f])],
            () => [[.. X.Zip(Y, (p, g) => p - 0.5 * (2 * (double)g + 0.1f * p))]],
            3e-7),
        ["Sgd, scale not finite"] = new(
            KernelHarness.Node("Sgd", ("weight_decay", 0.1f)),
            () => [Of(X), Of(Y), TensorBuffer.Of([0.5f]), TensorBuffer.Of([float.NaN])],
            () => [[.. X.Select(p => (double)p)]],
            0),
        ["RmsNorm"] = new(
            KernelHarness.Node("RmsNorm", ("epsilon", 1e-5f)), () => [Of(X), TensorBuffer.Of(Weight, Width)], () => NormReference.RmsNorm(X, Weight, 1e-5), 5e-7),
        ["RmsNormGrad"] = new(
            KernelHarness.Node("RmsNormGrad"),
            () => [Of(Y), Of(X), TensorBuffer.Of(Weight, Width), TensorBuffer.Of(Rstd, Rows, 1)],
            () => NormReference.RmsNormGrad(Y, X, Weight, Rstd),
            1e-6),
        ["RmsNormGradWithValue"] = new(
            KernelHarness.Node("RmsNormGradWithValue"),
            () => [Of(Y), Of(X), TensorBuffer.Of(Weight, Width), TensorBuffer.Of(Rstd, Rows, 1)],
            () => [.. NormReference.RmsNormGrad(Y, X, Weight, Rstd), NormReference.Applied(X, Weight, new float[Width], new float[Rows], Rstd)],
            1e-6),
        ["LayerNorm"] = new(
            KernelHarness.Node("LayerNorm", ("epsilon", 1e-5f)),
            () => [Of(X), TensorBuffer.Of(Weight, Width), TensorBuffer.Of(Bias, Width)],
            () => NormReference.LayerNorm(X, Weight, Bias, 1e-5),
            5e-7),
        ["SkipRmsNorm"] = new(
            KernelHarness.Node("SkipRmsNorm", ("epsilon", 1e-5f)),
            () => [Of(X), Of(Y), TensorBuffer.Of(Weight, Width)],
            () => [NormReference.RmsNorm(Sum, Weight, 1e-5)[0], [.. Sum.Select(sum => (double)sum)]],
            5e-7),
        ["SkipLayerNorm"] = new(
            KernelHarness.Node("SkipLayerNorm", ("epsilon", 1e-5f)),
            () => [Of(X), Of(Y), TensorBuffer.Of(Weight, Width), TensorBuffer.Of(Bias, Width)],
            () => [NormReference.LayerNorm(Sum, Weight, Bias, 1e-5)[0], [.. Sum.Select(sum => (double)sum)]],
            5e-7),
        ["LayerNormGrad"] = new(
            KernelHarness.Node("LayerNormGrad"),
            () => [Of(Y), Of(X), TensorBuffer.Of(Weight, Width), TensorBuffer.Of(Mean, Rows, 1), TensorBuffer.Of(Rstd, Rows, 1)],
            () => NormReference.LayerNormGrad(Y, X, Weight, Mean, Rstd),
            1e-6),
        ["LayerNormGradWithValue"] = new(
            KernelHarness.Node("LayerNormGradWithValue"),
            () => [Of(Y), Of(X), TensorBuffer.Of(Weight, Width), TensorBuffer.Of(Mean, Rows, 1), TensorBuffer.Of(Rstd, Rows, 1), TensorBuffer.Of(Bias, Width)],
            () => [.. NormReference.LayerNormGrad(Y, X, Weight, Mean, Rstd), NormReference.Applied(X, Weight, Bias, Mean, Rstd)],
            1e-6),
        ["ScatterAddRows"] = new(
            KernelHarness.Node("ScatterAddRows"), () => [Of(X), TensorBuffer.Of(Ids, Rows), Of(Y)], () => [ScatterReference.AddRows(X, Ids, Y)], 3e-7),
        ["SoftmaxCrossEntropy"] = new(
            KernelHarness.Node("SoftmaxCrossEntropy"),
            () => [TensorBuffer.Of(Logits, Rows, Columns), TensorBuffer.Of(Targets, Rows), TensorBuffer.Of([0.25f])],
            () => LossReference.SoftmaxCrossEntropy(Logits, Targets, 0.25),
            1e-5),
        ["TokenLoss"] = new(
            KernelHarness.Node("TokenLoss"),
            () => [TensorBuffer.Of(Logits, Rows, Columns), TensorBuffer.Of(Targets, Rows)],
            () => [LossReference.TokenLoss(Logits, Targets)],
            1e-5),
        ["LinearCrossEntropy"] = new(
            KernelHarness.Node("LinearCrossEntropy"),
            () => [
                TensorBuffer.Of(LinearLoss.Buffer, LinearLoss.Tokens, LinearLoss.Width), TensorBuffer.Of(LinearLoss.X, LinearLoss.Rows, LinearLoss.Width),
                TensorBuffer.Of(LinearLoss.Weight, LinearLoss.Tokens, LinearLoss.Width), TensorBuffer.Of(LinearLoss.Targets, LinearLoss.Rows),
                TensorBuffer.Of([0.25f]), TensorBuffer.Of([false], 1)],
            () => LinearLoss.CrossEntropy(0.25),
            1e-5),
        ["LinearTokenLoss"] = new(
            KernelHarness.Node("LinearTokenLoss"),
            () => [
                TensorBuffer.Of(LinearLoss.X, LinearLoss.Rows, LinearLoss.Width), TensorBuffer.Of(LinearLoss.Weight, LinearLoss.Tokens, LinearLoss.Width),
                TensorBuffer.Of(LinearLoss.Targets, LinearLoss.Rows)],
            () => [LinearLoss.TokenLoss()],
            1e-5),
        ["Gelu"] = new(KernelHarness.Node("Gelu"), () => [Of(X)], () => [[.. X.Select(x => ActivationReference.Gelu(x))]], 3e-7),
        ["GeluGrad"] = new(
            KernelHarness.Node("GeluGrad"), () => [Of(Y), Of(X)], () => [[.. Y.Zip(X, (dy, x) => dy * ActivationReference.GeluSlope(x))]], 5e-7),
        ["GeluGradWithValue"] = new(
            KernelHarness.Node("GeluGradWithValue"), () => [Of(Y), Of(X)],
            () => [[.. Y.Zip(X, (dy, x) => dy * ActivationReference.GeluSlope(x))], [.. X.Select(x => ActivationReference.Gelu(x))]], 5e-7),
        ["SwiGlu"] = new(
            KernelHarness.Node("SwiGlu"), () => [Of(X), Of(Y)], () => [[.. X.Zip(Y, (gate, up) => gate * ActivationReference.Logistic(gate) * up)]], 5e-7),
        ["SwiGluGrad"] = new(
            KernelHarness.Node("SwiGluGrad"), () => [Of(Z), Of(X), Of(Y)], () => ActivationReference.SwiGluGrad(Z, X, Y), 5e-7),
        ["SwiGluGradWithValue"] = new(
            KernelHarness.Node("SwiGluGradWithValue"), () => [Of(Z), Of(X), Of(Y)],
            () => [.. ActivationReference.SwiGluGrad(Z, X, Y), [.. X.Zip(Y, (gate, up) => gate * ActivationReference.Logistic(gate) * up)]], 5e-7),
        ["PackedSwiGlu"] = new(
            KernelHarness.Node("PackedSwiGlu"), () => [TensorBuffer.Of([.. X, .. Y], 1, 2 * X.Length)],
            () => [[.. X.Zip(Y, (gate, up) => gate * ActivationReference.Logistic(gate) * up)]], 5e-7),
        ["RotaryEmbedding"] = new(
            KernelHarness.Node("RotaryEmbedding", ("heads", 3)),
            () => [TensorBuffer.Of(Turned, 5, 97, 3 * 38), TensorBuffer.Of(Cos, 97, 19), TensorBuffer.Of(Sin, 97, 19)],
            () => [ActivationReference.Rotate(Turned, Cos, Sin, 97, 3, 19)],
            3e-7),
    };

    /// <summary>X + Y, rounded as in a residual sum.</summary>
    private static float[] Sum => [.. X.Zip(Y, (x, y) => x + y)];
}
