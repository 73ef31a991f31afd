namespace OnnxLlm.Graphs.Functions;

/// <summary>Stochastic gradient descent with weight decay: p −= lr·(gradient·scale + decay·p); unchanged where the scale is not finite. May work in place.</summary>
internal static class Sgd
{
    internal static Function Forward { get; } = new()
    {
        Name = "Sgd",
        Inputs = [new("parameter", ["N", "D"]), new("gradient", ["N", "D"]), new("learning_rate", []), new("gradient_scale", [])],
        Outputs = ["new_parameter"],
        Attributes = [("weight_decay", 0f)],
        Infer = (inputs, _) => Updates.SameShape("Sgd", inputs.Take(2)).Skip(1),
        Body = (g, inputs) =>
        {
            var (parameter, gradient, rate, scale) = (inputs[0], inputs[1], inputs[2], inputs[3]);
            var step = gradient * scale + parameter * g.FloatAttribute("weight_decay", parameter);
            return Updates.WhereFinite(g, scale, (parameter - step * rate, parameter));
        },
    };
}
