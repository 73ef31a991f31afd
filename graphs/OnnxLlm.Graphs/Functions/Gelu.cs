namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// GELU in its tanh form (Hendrycks and Gimpel, 2016), which GPT-2 uses: y = ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³).
/// It is computed as x·σ(2u), which is the same and loses no digits where tanh is near −1.
/// </summary>
internal static class Gelu
{
    private const double Cubic = 0.044715;
    private static readonly double TwiceSlope = Math.Sqrt(8 / Math.PI);

    internal static Function Forward { get; } = new()
    {
        Name = "Gelu",
        Inputs = [new("x", ["N", "F"])],
        Outputs = ["y"],
        Infer = (inputs, _) => [(inputs[0].Type, inputs[0].Shape)],
        Body = (g, inputs) => [inputs[0] * Gate(g, inputs[0])],
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0]])],
    };

    internal static Function Backward { get; } = new()
    {
        Name = "GeluGrad",
        Inputs = [new("dy", ["N", "F"]), new("x", ["N", "F"])],
        Outputs = ["dx"],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape)],
        Body = (g, inputs) => [Slope(inputs[0], inputs[1], Gate(g, inputs[1]))],
    };

    /// <summary>The gradient and the value again, see <see cref="Training.RegainedValues"/>.</summary>
    internal static Function BackwardWithValue { get; } = new()
    {
        Name = "GeluGradWithValue",
        Inputs = Backward.Inputs,
        Outputs = ["dx", "y"],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape), (inputs[1].Type, inputs[1].Shape)],
        Body = (g, inputs) =>
        {
            var gate = Gate(g, inputs[1]);
            return [Slope(inputs[0], inputs[1], gate), inputs[1] * gate];
        },
    };

    private static Value Slope(Value dy, Value x, Value gate)
    {
        var dtwoU = (x * x * (3 * Cubic) + 1) * TwiceSlope;
        return dy * gate * (x * (1 - gate) * dtwoU + 1);
    }

    /// <summary>σ(2u).</summary>
    private static Value Gate(GraphBuilder g, Value x) => g.Sigmoid(x * (x * x * Cubic + 1) * TwiceSlope);
}
