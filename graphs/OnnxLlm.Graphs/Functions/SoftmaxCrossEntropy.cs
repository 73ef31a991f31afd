namespace OnnxLlm.Graphs.Functions;

/// <summary>Cross-entropy of the softmax of logits [N, V] against labels [N], where the label −100 means that the row does not count.</summary>
internal static class SoftmaxCrossEntropy
{
    private const int Ignored = -100;

    /// <summary>The loss, scaled and summed, together with its gradient: the softmax is computed once.</summary>
    internal static Function Forward { get; } = new()
    {
        Name = "SoftmaxCrossEntropy",
        Inputs = [new("logits", ["N", "V"]), new("labels", ElementType.Int64, ["N"]), new("scale", [])],
        Outputs = ["loss", "dlogits"],
        Infer = (inputs, _) => [(inputs[0].Type, TensorShape.Scalar), (inputs[0].Type, Check("SoftmaxCrossEntropy", inputs))],
        Body = (g, inputs) =>
        {
            var (logits, scale) = (inputs[0], inputs[2]);
            var rows = Rows.Of(g, logits, inputs[1]);
            var loss = g.ReduceSum(rows.Losses(g), keepDimensions: false, 0, 1) * scale;

            // softmax − one-hot: the label's element is replaced, the rest of the row is only read.
            var softmax = g.ScatterElements(g.Exp(rows.LogSoftmax), rows.Labels, g.Exp(rows.Picked) - 1, axis: 1);
            return [loss, softmax * g.Where(rows.Counts, scale, g.Scalar(0, scale))];
        },
        Gradient = (g, n, dy) => [n.Outputs[1] * dy, null, null],
    };

    /// <summary>The unscaled loss of every row; 0 where it does not count.</summary>
    internal static Function TokenLoss { get; } = new()
    {
        Name = "TokenLoss",
        Inputs = [new("logits", ["N", "V"]), new("labels", ElementType.Int64, ["N"])],
        Outputs = ["nll"],
        Infer = (inputs, _) => [(inputs[0].Type, Check("TokenLoss", inputs)[..1])],
        Body = (g, inputs) => [g.Emit("Reshape", [Rows.Of(g, inputs[0], inputs[1]).Losses(g), g.Int64s(-1)], inputs[0].Type, inputs[1].Shape)],
    };

    private static TensorShape Check(string function, IReadOnlyList<Value> inputs) =>
        inputs[0].Rank == 2 && inputs[1].Rank == 1 && inputs[0].Shape[0] == inputs[1].Shape[0]
            ? inputs[0].Shape
            : throw new GraphException($"{function} needs logits [N, V] and labels [N], got {inputs[0].Shape} and {inputs[1].Shape}.");

    /// <param name="LogSoftmax">[N, V]</param>
    /// <param name="Counts">[N, 1]: true where the label is not the ignored one.</param>
    /// <param name="Labels">[N, 1]: the label, or 0 where the row does not count.</param>
    /// <param name="Picked">[N, 1]: log-probability of the label.</param>
    private sealed record Rows(Value LogSoftmax, Value Counts, Value Labels, Value Picked)
    {
        internal static Rows Of(GraphBuilder g, Value logits, Value labels)
        {
            var column = g.Unsqueeze(labels, -1);
            var counts = g.Not(g.Equal(column, g.Int64s(Ignored)));
            var safe = g.Where(counts, column, g.Int64s(0));
            var log = g.LogSoftmax(logits);
            return new(log, counts, safe, g.GatherElements(log, safe, 1));
        }

        internal Value Losses(GraphBuilder g) => g.Where(Counts, -Picked, g.Scalar(0, Picked));
    }
}
