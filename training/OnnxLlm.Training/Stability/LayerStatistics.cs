using System.Collections.Immutable;
using System.Globalization;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Training.Stability;

/// <summary>Norms of gradients and weights, layer by layer: a block, or what comes before the first and after the last.</summary>
internal static class LayerStatistics
{
    /// <param name="gradientScale">What the gradients in their buffers are to be multiplied with: one over the loss scale.</param>
    public static ImmutableArray<LayerMetrics> Norms(ImmutableArray<ParameterInfo> parameters, TrainingTensors tensors, float gradientScale)
    {
        var first = parameters.TakeWhile(p => p.Layer is null).Count();
        var layers = parameters.Index().GroupBy(p => p.Item.Layer is { } layer ? $"block {layer}" : p.Index < first ? "embeddings" : "head", p => p.Item);
        return [.. layers.Select(layer => new LayerMetrics(
            layer.Key, Norm(layer.Where(p => p.Trainable), p => tensors[p.GradientBuffer], gradientScale), Norm(layer, p => tensors[p.Name])))];
    }

    /// <summary>Adds what the auxiliary graph says of the blocks' outputs.</summary>
    public static ImmutableArray<LayerMetrics> With(this ImmutableArray<LayerMetrics> layers, ActivationMoments moments) =>
        [.. layers.Select(layer => layer.Layer.Split(' ') is ["block", var number] ? WithBlock(layer, moments, int.Parse(number, CultureInfo.InvariantCulture)) : layer)];

    private static LayerMetrics WithBlock(LayerMetrics layer, ActivationMoments moments, int block) => layer with
    {
        ActivationMean = Finite.OrNull(moments.Mean[block]),
        ActivationDeviation = Finite.OrNull(moments.Deviation[block]),
        ActivationMax = Finite.OrNull(moments.Max[block]),
    };

    private static double? Norm(IEnumerable<ParameterInfo> parameters, Func<ParameterInfo, TensorBuffer> tensor, float scale = 1) =>
        Finite.OrNull(scale * Math.Sqrt(parameters.Sum(p => SquaredNorm(tensor(p)))));

    private static double SquaredNorm(TensorBuffer tensor)
    {
        using var copy = tensor.Device.IsCuda ? tensor.ToHost() : null;
        return SquaredNorm((copy ?? tensor).Span<float>());
    }

    private static double SquaredNorm(ReadOnlySpan<float> values)
    {
        var sum = 0.0;
        foreach (double value in values) sum += value * value;
        return sum;
    }
}
