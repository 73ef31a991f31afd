using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Encoders;

/// <summary>The parts of an encoder for answering: attention of every token to every other that is not padding, scores of the tokens that are asked for, or of labels.</summary>
/// <param name="ids">int64 [batch, sequence].</param>
/// <param name="mask">int64 [batch, sequence]: 1 for a token, 0 for padding.</param>
/// <param name="wanted">int64 [batch, sequence]: 1 where scores are wanted; null of a classifier.</param>
internal sealed class EncoderParts(GraphBuilder g, ModelConfig config, Value ids, Value mask, Value? wanted) : InferenceParts(g, config)
{
    public override Value LearnedPositions(string name)
    {
        var length = Graph.Reshape(Graph.ExtentOf(ids, 1), []);
        return Graph.Gather(Parameter($"{name}.weight", [Config.MaxPositions, Config.Width]), Graph.Range(Scalar(0), length, Scalar(1), "sequence"));    // [sequence, D]
    }

    public override Value Gelu(Value x) => Graph.Emit("Gelu", [x], x.Type, x.Shape, ("approximate", "none"));

    public override Value Attention(Value h, params ReadOnlySpan<Projection> projections)
    {
        var (q, k, v) = Separate(Linear(h, "attention.self.qkv", projections));
        return Graph.MaskedAttention(q, k, v, mask, Config.Heads);
    }

    /// <summary>[n, D], row by row; of a classifier [batch, D].</summary>
    public override Value Scored(Value x) => wanted is null ? Graph.Gather(x, Scalar(0), axis: 1) : Graph.Emit(
        "Compress", [Graph.Reshape(x, ["tokens", Config.Width]), Graph.Cast(Graph.Reshape(wanted, ["tokens"]), ElementType.Bool)], x.Type, ["scored", Config.Width], ("axis", 0));

    public override Value Head(Value x, string name) => Graph.Gemm(x, Table(name), transposeB: true);    // [n, V]

    private Value Scalar(long value) => Graph.Constant(TensorData.Scalar(value, ElementType.Int64));
}
