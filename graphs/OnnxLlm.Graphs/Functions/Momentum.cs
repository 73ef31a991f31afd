namespace OnnxLlm.Graphs.Functions;

/// <summary>Gradient descent with a heavy ball (Polyak, 1964), as PyTorch's SGD: b ← μb + gradient + decay·p, p −= lr·b. May work in place.</summary>
internal static class Momentum
{
    internal static Function Forward { get; } = new()
    {
        Name = "Momentum",
        Inputs = Updates.OneStateInputs("momentum_buffer"),
        Outputs = ["new_parameter", "new_momentum_buffer"],
        Attributes = [("momentum", 0.9f), ("weight_decay", 0f)],
        Infer = (inputs, _) => Updates.SameShape("Momentum", inputs.Take(3)).Skip(1),
        Body = (g, inputs) =>
        {
            var (parameter, ball, rate, scale) = (inputs[0], inputs[2], inputs[3], inputs[4]);
            var newBall = ball * g.FloatAttribute("momentum", parameter) + Updates.WithDecay(g, parameter, inputs[1] * scale);
            return Updates.WhereFinite(g, scale, (parameter - newBall * rate, parameter), (newBall, ball));
        },
    };
}
