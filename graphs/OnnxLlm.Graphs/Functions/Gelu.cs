namespace OnnxLlm.Graphs.Functions;

/// <summary>GELU in its tanh form (Hendrycks and Gimpel, 2016), which GPT-2 uses: y = ½x(1 + tanh(√(2/π)(x + 0.044715x³))).</summary>
internal static class Gelu
{
    private const double Cubic = 0.044715;
    private static readonly double Slope = Math.Sqrt(2 / Math.PI);

    internal static Function Forward { get; } = new()
    {
        Name = "Gelu",
        Inputs = [new("x", ["N", "F"])],
        Outputs = ["y"],
        Infer = (inputs, _) => [(inputs[0].Type, inputs[0].Shape)],
        Body = (g, inputs) => [inputs[0] * 0.5 * (Bend(g, inputs[0]) + 1)],
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0]])],
    };

    internal static Function Backward { get; } = new()
    {
        Name = "GeluGrad",
        Inputs = [new("dy", ["N", "F"]), new("x", ["N", "F"])],
        Outputs = ["dx"],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape)],
        Body = (g, inputs) =>
        {
            var (dy, x) = (inputs[0], inputs[1]);
            var bend = Bend(g, x);
            var dinner = (x * x * (3 * Cubic) + 1) * Slope;
            return [dy * 0.5 * (bend + 1 + x * (1 - bend * bend) * dinner)];
        },
    };

    private static Value Bend(GraphBuilder g, Value x) => g.Tanh((x + x * x * x * Cubic) * Slope);
}
