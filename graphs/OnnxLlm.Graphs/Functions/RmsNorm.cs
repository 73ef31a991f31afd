namespace OnnxLlm.Graphs.Functions;

/// <summary>Root-mean-square normalisation over the last axis (Zhang and Sennrich, 2019): y = x·rstd·weight, rstd = 1/√(mean(x²) + ε).</summary>
internal static class RmsNorm
{
    internal static Function Forward { get; } = new()
    {
        Name = "RmsNorm",
        Inputs = [new("x", ["N", "D"]), new("weight", ["D"])],
        Outputs = ["y", "rstd"],
        Attributes = [("epsilon", 1e-5f)],
        Infer = (inputs, _) => [(inputs[0].Type, inputs[0].Shape), (inputs[0].Type, Norms.Statistic(inputs))],
        Body = (g, inputs) =>
        {
            var (x, weight) = (inputs[0], inputs[1]);
            var rstd = g.Reciprocal(g.Sqrt(g.Mean(x * x) + g.FloatAttribute("epsilon", x)));
            return [x * rstd * weight, rstd];
        },
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0], n[1], n.Outputs[1]])],
    };

    internal static Function Backward { get; } = new()
    {
        Name = "RmsNormGrad",
        Inputs = [new("dy", ["N", "D"]), new("x", ["N", "D"]), new("weight", ["D"]), new("rstd", ["N", 1])],
        Outputs = ["dx", "dweight"],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape), (inputs[2].Type, inputs[2].Shape)],
        Body = (g, inputs) => Gradients(g, inputs, inputs[1] * inputs[3]),
    };

    /// <summary>The gradients and y again, see <see cref="Training.RegainedValues"/>.</summary>
    internal static Function BackwardWithValue { get; } = new()
    {
        Name = "RmsNormGradWithValue",
        Inputs = Backward.Inputs,
        Outputs = [.. Backward.Outputs, "y"],
        Infer = (inputs, attributes) => [.. Backward.Infer(inputs, attributes), (inputs[1].Type, inputs[1].Shape)],
        Body = (g, inputs) =>
        {
            var unit = inputs[1] * inputs[3];
            return [.. Gradients(g, inputs, unit), unit * inputs[2]];
        },
    };

    /// <param name="unit">x̂ = x·rstd.</param>
    private static Value[] Gradients(GraphBuilder g, IReadOnlyList<Value> inputs, Value unit)
    {
        var (dy, weight, rstd) = (inputs[0], inputs[2], inputs[3]);
        var dunit = dy * weight;
        return [(dunit - unit * g.Mean(dunit * unit)) * rstd, g.SumRows(g.Flatten(dy * unit, -1))];
    }
}
