namespace OnnxLlm.Graphs.Functions;

/// <summary>Layer normalisation over the last axis (Ba, Kiros and Hinton, 2016): y = (x − mean)·rstd·weight + bias, rstd = 1/√(variance + ε).</summary>
internal static class LayerNorm
{
    internal static Function Forward { get; } = new()
    {
        Name = "LayerNorm",
        Inputs = [new("x", ["N", "D"]), new("weight", ["D"]), new("bias", ["D"])],
        Outputs = ["y", "mean", "rstd"],
        Attributes = [("epsilon", 1e-5f)],
        Infer = (inputs, _) =>
            [(inputs[0].Type, inputs[0].Shape), (inputs[0].Type, Norms.Statistic(inputs)), (inputs[0].Type, Norms.Statistic(inputs))],
        Body = (g, inputs) =>
        {
            var (x, weight, bias) = (inputs[0], inputs[1], inputs[2]);
            var mean = g.Mean(x);
            var centred = x - mean;
            var rstd = g.Reciprocal(g.Sqrt(g.Mean(centred * centred) + g.FloatAttribute("epsilon", x)));
            return [centred * rstd * weight + bias, mean, rstd];
        },
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0], n[1], n.Outputs[1], n.Outputs[2]])],
    };

    internal static Function Backward { get; } = new()
    {
        Name = "LayerNormGrad",
        Inputs = [new("dy", ["N", "D"]), new("x", ["N", "D"]), new("weight", ["D"]), new("mean", ["N", 1]), new("rstd", ["N", 1])],
        Outputs = ["dx", "dweight", "dbias"],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape), (inputs[2].Type, inputs[2].Shape), (inputs[2].Type, inputs[2].Shape)],
        Body = (g, inputs) => Gradients(g, inputs, Unit(inputs)),
    };

    /// <summary>The gradients and y again, see <see cref="Training.RegainedValues"/>.</summary>
    internal static Function BackwardWithValue { get; } = new()
    {
        Name = "LayerNormGradWithValue",
        Inputs = [.. Backward.Inputs, new("bias", ["D"])],
        Outputs = [.. Backward.Outputs, "y"],
        Infer = (inputs, attributes) => [.. Backward.Infer(inputs, attributes), (inputs[1].Type, inputs[1].Shape)],
        Body = (g, inputs) =>
        {
            var unit = Unit(inputs);
            return [.. Gradients(g, inputs, unit), unit * inputs[2] + inputs[5]];
        },
    };

    /// <summary>x̂ = (x − mean)·rstd.</summary>
    private static Value Unit(IReadOnlyList<Value> inputs) => (inputs[1] - inputs[3]) * inputs[4];

    private static Value[] Gradients(GraphBuilder g, IReadOnlyList<Value> inputs, Value unit)
    {
        var (dy, weight, rstd) = (inputs[0], inputs[2], inputs[4]);
        var dunit = dy * weight;
        var dx = (dunit - g.Mean(dunit) - unit * g.Mean(dunit * unit)) * rstd;
        return [dx, g.SumRows(g.Flatten(dy * unit, -1)), g.SumRows(g.Flatten(dy, -1))];
    }
}
