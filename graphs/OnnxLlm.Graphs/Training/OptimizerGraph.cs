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
        var values = parameters.ToDictionary(p => p, p => g.Parameter(p.Name, TensorShape.Of(p.Shape)));
        var gradients = parameters.ToDictionary(p => p, p => g.Input(p.GradientBuffer, ElementType.Float, TensorShape.Of(p.Shape)));
        var norm = g.Sqrt(g.Sum([.. parameters.Select(p => g.SquaredNorm(gradients[p]))]));
        var inverse = g.Scalar(1, norm);
        if (hasLossScale) norm *= inverse = g.Input(InverseLossScale, ElementType.Float, []);
        var step = new OptimizerStep(g, Scale(g, norm, settings) * inverse, settings, LearningRates.Factors(parameters, settings.LayerDecay));
        foreach (var p in parameters)
            foreach (var (state, updated) in step.Update(p, values[p], gradients[p])) g.Output(ParameterInfo.Updated(state), updated);
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
}
