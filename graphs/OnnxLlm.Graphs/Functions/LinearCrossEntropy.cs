namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// The output layer and its loss in one: the logits x·weightᵀ [N, V] of many rows need never be in memory together. The definition is the separate functions;
/// graphs are built and differentiated with those, see <see cref="Training.LinearLosses"/>.
/// </summary>
internal static class LinearCrossEntropy
{
    /// <summary>
    /// The loss, scaled and summed, its gradient for x, and its gradient for the weight where reset holds, else added to the buffer. May work in place
    /// of the buffer.
    /// </summary>
    internal static Function Forward { get; } = new()
    {
        Name = "LinearCrossEntropy",
        Inputs =
        [
            new("buffer", ["V", "D"]), new("x", ["N", "D"]), new("weight", ["V", "D"]), new("labels", ElementType.Int64, ["N"]), new("scale", []),
            new("reset", ElementType.Bool, [1]),
        ],
        Outputs = ["loss", "dx", "result"],
        Infer = (inputs, _) =>
        {
            Check("LinearCrossEntropy", inputs[1], inputs[2], inputs[3]);
            return inputs[0].Shape.Equals(inputs[2].Shape)
                ? [(inputs[1].Type, TensorShape.Scalar), (inputs[1].Type, inputs[1].Shape), (inputs[0].Type, inputs[0].Shape)]
                : throw new GraphException($"LinearCrossEntropy needs a buffer of the weight's shape {inputs[2].Shape}, got {inputs[0].Shape}.");
        },
        Body = (g, inputs) =>
        {
            var (x, weight) = (inputs[1], inputs[2]);
            var loss = SoftmaxCrossEntropy.Forward.Call(g, [g.Gemm(x, weight, transposeB: true), inputs[3], inputs[4]]);
            var dweight = g.Gemm(loss[1], x, transposeA: true);
            return [loss[0], g.Gemm(loss[1], weight), g.Accumulate(inputs[0], dweight, inputs[5])];
        },
    };

    /// <summary>The unscaled loss of every row; 0 where it does not count.</summary>
    internal static Function TokenLoss { get; } = new()
    {
        Name = "LinearTokenLoss",
        Inputs = [new("x", ["N", "D"]), new("weight", ["V", "D"]), new("labels", ElementType.Int64, ["N"])],
        Outputs = ["nll"],
        Infer = (inputs, _) => [(inputs[0].Type, Check("LinearTokenLoss", inputs[0], inputs[1], inputs[2]))],
        Body = (g, inputs) => [g.TokenLoss(g.Gemm(inputs[0], inputs[1], transposeB: true), inputs[2])],
    };

    /// <returns>[N]</returns>
    private static TensorShape Check(string function, Value x, Value weight, Value labels) =>
        x.Rank == 2 && weight.Rank == 2 && x.Shape[1] == weight.Shape[1] && labels.Shape.Equals([x.Shape[0]])
            ? labels.Shape
            : throw new GraphException($"{function} needs x [N, D], a weight [V, D] and labels [N], got {x.Shape}, {weight.Shape} and {labels.Shape}.");
}
