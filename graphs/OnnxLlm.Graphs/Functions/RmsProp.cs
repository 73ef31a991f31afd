namespace OnnxLlm.Graphs.Functions;

/// <summary>RMSProp (Tieleman and Hinton, 2012): v ← αv + (1−α)g², p −= lr·g/(√v + ε) with g = gradient + decay·p. May work in place.</summary>
internal static class RmsProp
{
    internal static Function Forward { get; } = new()
    {
        Name = "RmsProp",
        Inputs = Updates.OneStateInputs("square_avg"),
        Outputs = ["new_parameter", "new_square_avg"],
        Attributes = [("alpha", 0.99f), ("epsilon", 1e-8f), ("weight_decay", 0f)],
        Infer = (inputs, _) => Updates.SameShape("RmsProp", inputs.Take(3)).Skip(1),
        Body = (g, inputs) =>
        {
            var alpha = g.FloatAttribute("alpha", inputs[0]);
            var gradient = Updates.WithDecay(g, inputs[0], inputs[1] * inputs[4]);
            return Updates.ByRoot(g, inputs, gradient, inputs[2] * alpha + gradient * gradient * (1 - alpha));
        },
    };
}
