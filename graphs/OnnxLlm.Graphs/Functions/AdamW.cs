namespace OnnxLlm.Graphs.Functions;

/// <summary>Constants of the AdamW update (Loshchilov and Hutter, 2017).</summary>
public sealed record AdamWConstants(float Beta1 = 0.9f, float Beta2 = 0.95f, float Epsilon = 1e-8f, float WeightDecay = 0);

/// <summary>A parameter with its first and second moment, all of one shape.</summary>
public sealed record AdamWState(Value Parameter, Value FirstMoment, Value SecondMoment);

/// <summary>
/// Scalars of one step. <paramref name="GradientScale"/> multiplies every gradient (clipping); where it is not finite nothing is updated.
/// The biases are 1 − βᵗ at step t, see <see cref="GraphBuilder.BiasCorrection"/>.
/// </summary>
public sealed record AdamWStep(Value LearningRate, Value GradientScale, Value Bias1, Value Bias2);

/// <summary>One update in PyTorch's order: decay the parameter by lr·decay, then subtract lr·(m/bias1)/(√(v/bias2) + ε). May work in place.</summary>
internal static class AdamW
{
    internal static Function Forward { get; } = new()
    {
        Name = "AdamW",
        Inputs =
        [
            new("parameter", ["N", "D"]), new("gradient", ["N", "D"]), new("m", ["N", "D"]), new("v", ["N", "D"]),
            new("learning_rate", []), new("gradient_scale", []), new("bias1", []), new("bias2", []),
        ],
        Outputs = ["new_parameter", "new_m", "new_v"],
        Attributes = [("beta1", 0.9f), ("beta2", 0.95f), ("epsilon", 1e-8f), ("weight_decay", 0f)],
        Infer = (inputs, _) => Updates.SameShape("AdamW", inputs.Take(4)).Skip(1),
        Body = (g, inputs) =>
        {
            var (parameter, m, v, scale) = (inputs[0], inputs[2], inputs[3], inputs[5]);
            var (beta1, beta2) = (g.FloatAttribute("beta1", parameter), g.FloatAttribute("beta2", parameter));
            var gradient = inputs[1] * scale;
            var newM = m * beta1 + gradient * (1 - beta1);
            var newV = v * beta2 + gradient * gradient * (1 - beta2);
            var decayed = parameter - parameter * (inputs[4] * g.FloatAttribute("weight_decay", parameter));
            var root = g.Sqrt(newV / inputs[7]) + g.FloatAttribute("epsilon", parameter);
            var updated = decayed - newM / inputs[6] / root * inputs[4];
            return Updates.WhereFinite(g, scale, (updated, parameter), (newM, m), (newV, v));
        },
    };
}
