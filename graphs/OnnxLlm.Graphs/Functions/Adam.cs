namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Adam (Kingma and Ba, 2014) with weight decay as PyTorch's Adam has it: decay·p is part of the gradient and so of both moments. May work in place.
/// </summary>
internal static class Adam
{
    internal static Function Forward { get; } = new()
    {
        Name = "Adam",
        Inputs =
        [
            new("parameter", ["N", "D"]), new("gradient", ["N", "D"]), new("m", ["N", "D"]), new("v", ["N", "D"]),
            new("learning_rate", []), new("gradient_scale", []), new("bias1", []), new("bias2", []),
        ],
        Outputs = ["new_parameter", "new_m", "new_v"],
        Attributes = [("beta1", 0.9f), ("beta2", 0.999f), ("epsilon", 1e-8f), ("weight_decay", 0f)],
        Infer = (inputs, _) => Updates.SameShape("Adam", inputs.Take(4)).Skip(1),
        Body = (g, inputs) =>
        {
            var (parameter, m, v, scale) = (inputs[0], inputs[2], inputs[3], inputs[5]);
            var (beta1, beta2) = (g.FloatAttribute("beta1", parameter), g.FloatAttribute("beta2", parameter));
            var gradient = Updates.WithDecay(g, parameter, inputs[1] * scale);
            var newM = m * beta1 + gradient * (1 - beta1);
            var newV = v * beta2 + gradient * gradient * (1 - beta2);
            var root = g.Sqrt(newV / inputs[7]) + g.FloatAttribute("epsilon", parameter);
            return Updates.WhereFinite(g, scale, (parameter - newM / inputs[6] / root * inputs[4], parameter), (newM, m), (newV, v));
        },
    };
}
