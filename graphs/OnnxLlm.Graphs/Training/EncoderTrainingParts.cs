using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>What is different in an encoder: every token looks at all that are not padding, and GELU is the exact one.</summary>
/// <param name="mask">int64 [B, T]: 1 for a token, 0 for padding.</param>
internal sealed class EncoderTrainingParts(GraphBuilder g, ModelConfig config, TrainingShape shape, Value mask) : TrainingParts(g, config, shape)
{
    public override Value Gelu(Value x) => Graph.GeluErf(x);

    /// <summary>[B*T, D], or [B, D] of a classifier.</summary>
    public override Value Scored(Value x)
    {
        if (!Config.IsClassifier) return x;
        var first = Graph.Slice(Sequences(x), 1, 0, 1);    // [B, 1, D]
        return Graph.Reshape(first, [first.Shape[0], Config.Width]);
    }

    protected override Value Attend(Value q, Value k, Value v) => Graph.MaskedAttention(q, k, v, mask, Config.Heads);
}
