namespace OnnxLlm.Graphs.Models;

/// <summary>
/// T5's classes of distances: near ones have one each, farther ones share theirs in steps that grow as a logarithm, all from a largest distance on have the last. An encoder has
/// half of the classes for what comes later; in a decoder nothing does.
/// </summary>
internal static class RelativeDistances
{
    /// <summary>What is added to scores of queries and keys, for all sequences or for each: [1 or B, H, T, S].</summary>
    /// <param name="table">[buckets, H].</param>
    /// <param name="relative">int64 [1 or B, T, S]: place of the key less that of the query.</param>
    public static Value Bias(GraphBuilder g, ModelConfig config, Value table, Value relative, bool bothWays)
    {
        int far = config.RelativeMaxDistance;
        var buckets = TensorData.Int64s([.. Enumerable.Range(-far, 2 * far + 1).Select(distance => Bucket(config, distance, bothWays))]);
        var byDistance = g.Gather(table, g.Constant(buckets));                                  // [2·far + 1, H]
        var index = g.Min(g.Emit("Max", [relative, g.Int64s(-far)], relative.Type, relative.Shape), g.Int64s(far)) + g.Int64s(far);
        return g.Transpose(g.Gather(byDistance, index), 0, 3, 1, 2);
    }

    /// <summary>The class of a key that stands <paramref name="relative"/> places after its query, or so many before it where that is negative.</summary>
    public static long Bucket(ModelConfig config, int relative, bool bothWays)
    {
        int classes = bothWays ? config.RelativeBuckets / 2 : config.RelativeBuckets, near = classes / 2;
        int distance = bothWays ? Math.Abs(relative) : Math.Max(-relative, 0);
        return (bothWays && relative > 0 ? classes : 0) + (distance < near ? distance : Math.Min(classes - 1, near + Steps(distance, near, classes, config.RelativeMaxDistance)));
    }

    /// <summary>In single precision, in which those models were trained that others have published.</summary>
    private static int Steps(int distance, int near, int classes, int far) =>
        (int)(MathF.Log((float)distance / near) / (float)Math.Log((double)far / near) * (classes - near));
}
