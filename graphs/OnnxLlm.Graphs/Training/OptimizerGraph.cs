using System.Collections.Immutable;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// From summed gradients to new parameters. Every update needs the global norm, and the norm needs every gradient, so no update can overtake
/// a reader of what it overwrites.
/// </summary>
internal static class OptimizerGraph
{
    public const string Norm = "gradient_norm";

    public static Graph Create(ImmutableArray<ParameterInfo> parameters, OptimizerSettings settings)
    {
        var g = new GraphBuilder("optimizer");
        var values = parameters.ToDictionary(p => p, p => g.Parameter(p.Name, Shape(p)));
        var gradients = parameters.ToDictionary(p => p, p => g.Input(p.GradientBuffer, ElementType.Float, Shape(p)));
        var norm = g.Sqrt(g.Sum([.. parameters.Select(p => g.SquaredNorm(gradients[p]))]));
        if (settings.Kind == OptimizerKind.AdamW) AdamW(g, values, gradients, Scale(g, norm, settings), settings);
        else Sgd(g, values, gradients, Scale(g, norm, settings), settings);
        g.Output(Norm, norm);
        return g.Build();
    }

    /// <summary>min(1, clip / (norm + 1e-6)), as PyTorch clips; NaN where the norm is not finite, so that nothing is updated.</summary>
    private static Value Scale(GraphBuilder g, Value norm, OptimizerSettings settings)
    {
        var one = g.Scalar(1, norm);
        var scale = settings.ClipNorm > 0 ? g.Min(one, g.Scalar(settings.ClipNorm, norm) / (norm + 1e-6)) : one;
        return g.Where(g.Less(norm, g.Scalar(double.PositiveInfinity, norm)), scale, g.Scalar(double.NaN, norm));
    }

    private static void AdamW(
        GraphBuilder g, Dictionary<ParameterInfo, Value> values, Dictionary<ParameterInfo, Value> gradients, Value scale, OptimizerSettings settings)
    {
        var states = values.ToDictionary(p => p.Key, p => new AdamWState(p.Value, Moment(g, p.Key, p.Key.FirstMoment), Moment(g, p.Key, p.Key.SecondMoment)));
        var rate = g.Input("learning_rate", ElementType.Float, []);
        var count = g.Input("step", ElementType.Int64, []);
        var step = new AdamWStep(rate, scale, g.BiasCorrection(count, settings.Beta1), g.BiasCorrection(count, settings.Beta2));
        foreach (var (p, state) in states)
        {
            var constants = new AdamWConstants(settings.Beta1, settings.Beta2, settings.Epsilon, Decay(p, settings));
            var updated = g.AdamW(state, gradients[p], step, constants);
            g.Output(ParameterInfo.Updated(p.Name), updated.Parameter);
            g.Output(ParameterInfo.Updated(p.FirstMoment), updated.FirstMoment);
            g.Output(ParameterInfo.Updated(p.SecondMoment), updated.SecondMoment);
        }
    }

    private static void Sgd(
        GraphBuilder g, Dictionary<ParameterInfo, Value> values, Dictionary<ParameterInfo, Value> gradients, Value scale, OptimizerSettings settings)
    {
        var rate = g.Input("learning_rate", ElementType.Float, []);
        g.Input("step", ElementType.Int64, []);
        foreach (var (p, value) in values)
            g.Output(ParameterInfo.Updated(p.Name), g.Sgd(value, gradients[p], rate, scale, Decay(p, settings)));
    }

    private static float Decay(ParameterInfo p, OptimizerSettings settings) => p.Decay ? settings.WeightDecay : 0;

    private static Value Moment(GraphBuilder g, ParameterInfo p, string name) => g.Input(name, ElementType.Float, Shape(p));

    private static TensorShape Shape(ParameterInfo p) => TensorShape.Of(p.Shape);
}
