namespace OnnxLlm.Graphs.Functions;

/// <summary>Σ x² over all elements, a scalar: what the global norm of the gradients is made of.</summary>
internal static class SquaredNorm
{
    internal static Function Forward { get; } = new()
    {
        Name = "SquaredNorm",
        Inputs = [new("x", ["N", "D"])],
        Outputs = ["s"],
        Infer = (inputs, _) => [(inputs[0].Type, TensorShape.Scalar)],
        Body = (g, inputs) => [g.ReduceSumSquare(inputs[0])],
        Gradient = (g, n, dy) => [n[0] * 2 * dy],
    };
}
