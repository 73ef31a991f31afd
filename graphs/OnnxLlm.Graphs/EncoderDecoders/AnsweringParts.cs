using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.EncoderDecoders;

/// <summary>What both sides of an encoder-decoder have in common for answering.</summary>
internal abstract class AnsweringParts(GraphBuilder g, ModelConfig config) : InferenceParts(g, config), IEncoderDecoderParts
{
    public override Value LearnedPositions(string name) => throw new GraphException($"'{name}': distances are learned here, not positions.");

    public override Value Gelu(Value x) => Graph.Emit("Gelu", [x], x.Type, x.Shape, ("approximate", "tanh"));

    /// <summary>[rows, V].</summary>
    public override Value Head(Value x, string name) => Graph.Gemm(Graph.Reshape(x, ["rows", Config.Width]), Table(name), transposeB: true);

    public abstract void LearnDistances(string table);

    public abstract (Value Key, Value Value) Memory(Value encoded, Projection key, Projection value);

    public abstract Value CrossAttention(Value h, Projection query, (Value Key, Value Value) memory);

    /// <summary>Queries, keys and values by one product.</summary>
    protected (Value Q, Value K, Value V) Queries(Value h, ReadOnlySpan<Projection> projections) => Separate(Linear(h, "layer.0.SelfAttention.qkv", projections));

    /// <param name="relative">int64 [1 or batch, T, S]: place of the key less that of the query.</param>
    protected Value Bias(string table, Value relative, bool bothWays) =>
        RelativeDistances.Bias(Graph, Config, Parameter($"{table}.weight", [Config.RelativeBuckets, Config.Heads]), relative, bothWays);

    /// <summary>[batch, 1, 1, source]: hides padding.</summary>
    /// <param name="mask">int64 [batch, source].</param>
    protected Value Hidden(Value mask) => HiddenWhere(Graph.Equal(Graph.Unsqueeze(Graph.Unsqueeze(mask, 1), 1), Graph.Int64s(0)));

    protected Value HiddenWhere(Value condition)
    {
        var zero = Graph.Constant(TensorData.Scalar(0, ElementType.Float));
        return Graph.Where(condition, Graph.Scalar(BiasedAttention.Hidden, zero), zero);
    }

    /// <summary>The numbers from 0 on, as many as x has places: int64 [n].</summary>
    /// <param name="x">[.., n, ..], the extent of whose axis 1 is counted.</param>
    protected Value Places(Value x) => Graph.Range(Scalar(0), Graph.Reshape(Graph.ExtentOf(x, 1), []), Scalar(1), x.Shape[1]);

    protected Value Scalar(long value) => Graph.Constant(TensorData.Scalar(value, ElementType.Int64));
}
