using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// From summed gradients to new parameters. Every update needs the global norm, and the norm needs every gradient, so no update can overtake
/// a reader of what it overwrites.
/// </summary>
internal static class OptimizerGraph
{
    public const string Norm = "gradient_norm", InverseLossScale = "inverse_loss_scale";

    /// <param name="hasLossScale">The gradients carry a factor whose reciprocal is the input <see cref="InverseLossScale"/>.</param>
    public static Graph Create(ImmutableArray<ParameterInfo> parameters, OptimizerSettings settings, bool hasLossScale = false)
    {
        var g = new GraphBuilder("optimizer");
        var values = parameters.ToDictionary(p => p, p => Parameter(g, p));
        var gradients = parameters.ToDictionary(p => p, p => Gradient(g, p));
        var (norm, inverse) = Unscaled(g, Length(g, parameters.Select(p => gradients[p])), hasLossScale);
        Update(g, parameters, p => (values[p], gradients[p]), new OptimizerStep(g, Scale(g, norm, settings) * inverse, settings, LearningRates.Factors(parameters, settings.LayerDecay)));
        g.Output(Norm, norm);
        return g.Build();
    }

    /// <summary>The part of the graph that gives the global norm.</summary>
    public static Graph NormOf(ImmutableArray<ParameterInfo> parameters, bool hasLossScale)
    {
        var g = new GraphBuilder("norm");
        g.Output(Norm, Unscaled(g, Length(g, [.. parameters.Select(p => Gradient(g, p))]), hasLossScale).Norm);
        return g.Build();
    }

    /// <summary>The part that updates some of the parameters; the global norm is an input.</summary>
    public static Graph UpdateOf(ImmutableArray<ParameterInfo> parameters, OptimizerSettings settings, ImmutableDictionary<ParameterInfo, double> factors, bool hasLossScale)
    {
        var g = new GraphBuilder("update");
        var norm = g.Input(Norm, ElementType.Float, []);
        var inverse = hasLossScale ? g.Input(InverseLossScale, ElementType.Float, []) : g.Scalar(1, norm);
        Update(g, parameters, p => (Parameter(g, p), Gradient(g, p)), new OptimizerStep(g, Scale(g, norm, settings) * inverse, settings, factors));
        return g.Build();
    }

    /// <summary>Inputs and outputs that are bound to one buffer each.</summary>
    public static IEnumerable<(string Input, string Output)> InPlace(Graph graph) =>
        graph.Outputs.Select(o => o.Name).Where(n => n != Norm).Select(n => (n[..^ParameterInfo.Updated("").Length], n));

    /// <summary>What an optimizer keeps for a parameter.</summary>
    public static long StateBytes(ParameterInfo p, OptimizerSettings settings)
    {
        var g = new GraphBuilder();
        var step = new OptimizerStep(g, g.Input("scale", ElementType.Float, []), settings, ImmutableDictionary<ParameterInfo, double>.Empty.Add(p, 1));
        return step.Update(p, Parameter(g, p), Gradient(g, p)).Where(update => update.State != p.Name).Sum(update => update.Updated.Shape.ElementCount * update.Updated.Type.Size());
    }

    private static Value Parameter(GraphBuilder g, ParameterInfo p) => g.Parameter(p.Name, TensorShape.Of(p.Shape));

    private static Value Gradient(GraphBuilder g, ParameterInfo p) => g.Input(p.GradientBuffer, ElementType.Float, TensorShape.Of(p.Shape));

    private static Value Length(GraphBuilder g, IEnumerable<Value> gradients) => g.Sqrt(g.Sum([.. gradients.Select(x => g.SquaredNorm(x))]));

    private static (Value Norm, Value Inverse) Unscaled(GraphBuilder g, Value norm, bool hasLossScale)
    {
        if (!hasLossScale) return (norm, g.Scalar(1, norm));
        var inverse = g.Input(InverseLossScale, ElementType.Float, []);
        return (norm * inverse, inverse);
    }

    private static void Update(GraphBuilder g, ImmutableArray<ParameterInfo> parameters, Func<ParameterInfo, (Value, Value)> of, OptimizerStep step)
    {
        foreach (var p in parameters)
        {
            var (value, gradient) = of(p);
            foreach (var (state, updated) in step.Update(p, value, gradient)) g.Output(ParameterInfo.Updated(state), updated);
        }
    }

    /// <summary>min(1, clip / (norm + 1e-6)), as PyTorch clips; NaN where the norm is not finite, so that nothing is updated.</summary>
    private static Value Scale(GraphBuilder g, Value norm, OptimizerSettings settings)
    {
        var one = g.Scalar(1, norm);
        var scale = settings.ClipNorm > 0 ? g.Min(one, g.Scalar(settings.ClipNorm, norm) / (norm + 1e-6)) : one;
        return g.Where(g.Less(norm, g.Scalar(double.PositiveInfinity, norm)), scale, g.Scalar(double.NaN, norm));
    }
}
