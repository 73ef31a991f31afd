namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Brings every singular value of a matrix close to 1, without a decomposition: x ← ax + (bA + cA²)x with A = xxᵀ, five times, after x is
/// divided by its norm (Jordan et al., "Muon", 2024; their coefficients trade exactness for speed: values end between about 0.7 and 1.2).
/// Meant for matrices with no more rows than columns.
/// </summary>
internal static class NewtonSchulz
{
    internal const int Iterations = 5;
    internal const double A = 3.4445, B = -4.7750, C = 2.0315;

    /// <summary>Added to the norm, so that a matrix of zeros stays one.</summary>
    internal const double Epsilon = 1e-7;

    internal static Function Forward { get; } = new()
    {
        Name = "NewtonSchulz",
        Inputs = [new("x", ["N", "D"])],
        Outputs = ["y"],
        Infer = (inputs, _) => inputs[0].Rank == 2
            ? [(inputs[0].Type, inputs[0].Shape)]
            : throw new GraphException($"NewtonSchulz needs a matrix, got {inputs[0].Shape}."),
        Body = (g, inputs) =>
        {
            var x = inputs[0] / (g.Sqrt(g.ReduceSumSquare(inputs[0])) + Epsilon);
            for (int i = 0; i < Iterations; i++)
            {
                var gram = g.MatMul(x, g.SwapLastTwo(x));    // [N, N]
                x = x * A + g.MatMul(gram * B + g.MatMul(gram, gram) * C, x);
            }
            return [x];
        },
    };
}
