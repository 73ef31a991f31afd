namespace OnnxLlm.Graphs.Functions;

/// <summary>What the two normalisations share.</summary>
internal static class Norms
{
    /// <summary>Shape of a mean or standard deviation of x [.., D]; the weights (inputs 1 and on) must be [D].</summary>
    internal static TensorShape Statistic(IReadOnlyList<Value> inputs)
    {
        var shape = inputs[0].Shape;
        TensorShape width = [shape[shape.Axis(-1)]];
        foreach (var weight in inputs.Skip(1))
            if (!weight.Shape.Equals(width)) throw new GraphException($"A norm of {shape} needs weights of shape {width}, got {weight.Shape}.");
        return shape.With(-1, 1);
    }

    /// <summary>Mean over the last axis, which stays with extent 1.</summary>
    internal static Value Mean(this GraphBuilder g, Value x) => g.ReduceMean(x, keepDimensions: true, -1);
}
