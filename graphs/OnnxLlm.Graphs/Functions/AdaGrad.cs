namespace OnnxLlm.Graphs.Functions;

/// <summary>AdaGrad (Duchi, Hazan and Singer, 2011): s ← s + g², p −= lr·g/(√s + ε) with g = gradient + decay·p. May work in place.</summary>
internal static class AdaGrad
{
    internal static Function Forward { get; } = new()
    {
        Name = "AdaGrad",
        Inputs = Updates.OneStateInputs("sum"),
        Outputs = ["new_parameter", "new_sum"],
        Attributes = [("epsilon", 1e-10f), ("weight_decay", 0f)],
        Infer = (inputs, _) => Updates.SameShape("AdaGrad", inputs.Take(3)).Skip(1),
        Body = (g, inputs) =>
        {
            var gradient = Updates.WithDecay(g, inputs[0], inputs[1] * inputs[4]);
            return Updates.ByRoot(g, inputs, gradient, inputs[2] + gradient * gradient);
        },
    };
}
