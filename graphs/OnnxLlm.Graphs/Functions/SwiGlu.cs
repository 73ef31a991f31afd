namespace OnnxLlm.Graphs.Functions;

/// <summary>The gated activation of LLaMA (Shazeer, 2020): y = silu(gate)·up, silu(x) = x·σ(x).</summary>
internal static class SwiGlu
{
    internal static Function Forward { get; } = new()
    {
        Name = "SwiGlu",
        Inputs = [new("gate", ["N", "F"]), new("up", ["N", "F"])],
        Outputs = ["y"],
        Infer = (inputs, _) => inputs[0].Shape.Equals(inputs[1].Shape)
            ? [(inputs[0].Type, inputs[0].Shape)]
            : throw new GraphException($"SwiGlu needs two tensors of one shape, got {inputs[0].Shape} and {inputs[1].Shape}."),

        // Not gate·σ(gate) first: the runtime would fuse that to an operator which it has in single precision only.
        Body = (g, inputs) => [inputs[0] * (g.Sigmoid(inputs[0]) * inputs[1])],
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0], n[1]])],
    };

    /// <summary>
    /// Of gate and up side by side, as one product gives them: no half is copied. For answering only: it has no gradient, and the runtime's own operator for silu in its
    /// definition, which a GPU runs.
    /// </summary>
    internal static Function Packed { get; } = new()
    {
        Name = "PackedSwiGlu",
        Inputs = [new("gate_up", ["N", "FF"])],
        Outputs = ["y"],
        Infer = (inputs, _) => [(inputs[0].Type, inputs[0].Shape.With(-1, Half(inputs[0].Shape)))],
        Body = (g, inputs) =>
        {
            var halves = g.Emit("Split", [inputs[0]], [.. Enumerable.Repeat<(ElementType, TensorShape)>((inputs[0].Type, ["N", "F"]), 2)], new Attributes(("axis", -1), ("num_outputs", 2)));
            return [g.EmitMicrosoft("QuickGelu", [halves[0]], halves[0].Type, halves[0].Shape, ("alpha", 1f)) * halves[1]];
        },
    };

    private static Dimension Half(TensorShape shape) => shape[shape.Rank - 1] is { IsKnown: true } width && width.Value % 2 == 0
        ? width.Value / 2
        : throw new GraphException($"PackedSwiGlu needs an even number of columns, got {shape}.");

    internal static Function Backward { get; } = new()
    {
        Name = "SwiGluGrad",
        Inputs = [new("dy", ["N", "F"]), new("gate", ["N", "F"]), new("up", ["N", "F"])],
        Outputs = ["dgate", "dup"],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape), (inputs[2].Type, inputs[2].Shape)],
        Body = (g, inputs) => Gradients(inputs[0], inputs[1], inputs[2], g.Sigmoid(inputs[1])),
    };

    /// <summary>The gradients and the value again, see <see cref="Training.RegainedValues"/>.</summary>
    internal static Function BackwardWithValue { get; } = new()
    {
        Name = "SwiGluGradWithValue",
        Inputs = Backward.Inputs,
        Outputs = ["dgate", "dup", "y"],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape), (inputs[2].Type, inputs[2].Shape), (inputs[1].Type, inputs[1].Shape)],
        Body = (g, inputs) =>
        {
            var s = g.Sigmoid(inputs[1]);
            return [.. Gradients(inputs[0], inputs[1], inputs[2], s), inputs[1] * (s * inputs[2])];
        },
    };

    private static Value[] Gradients(Value dy, Value gate, Value up, Value s) => [dy * up * s * (gate * (1 - s) + 1), dy * gate * s];
}
