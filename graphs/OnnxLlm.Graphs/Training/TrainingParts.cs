using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// The parts of a model as differentiable functions over B*T rows: a product of two matrices is one Gemm, forward and backward,
/// with weights in the layout of the family's files.
/// </summary>
internal class TrainingParts(GraphBuilder g, ModelConfig config, TrainingShape shape) : ModelParts(g, config)
{
    private readonly (Value Cos, Value Sin)? _rotation = config.IsRotary ? Rotation(g, config, shape.Time) : null;

    protected TrainingShape Shape { get; } = shape;

    public override Value LearnedPositions(string name)
    {
        var all = Parameter($"{name}.weight", [Config.MaxPositions, Config.Width]);
        return Shape.Time == Config.MaxPositions ? all : Graph.Slice(all, 0, 0, Shape.Time);    // [T, D]
    }

    public override Value Rows(Value x) => Graph.Reshape(x, [Shape.Rows, x.Shape[x.Rank - 1]]);    // [B*T, D]

    public override Value Linear(Value x, Projection projection)
    {
        // GPT-2's files hold [in, out], those of the later families [out, in].
        bool transposed = Config.Family != ModelFamily.Gpt2;
        var (inputs, outputs) = (x.Shape[1], projection.Outputs);
        var weight = Parameter($"{projection.Name}.weight", transposed ? [outputs, inputs] : [inputs, outputs]);
        return Graph.Gemm(x, weight, projection.Bias ? Parameter($"{projection.Name}.bias", [outputs]) : null, transposeB: transposed);
    }

    public override Value LayerNorm(ref Value x, string name) =>
        Graph.LayerNorm(x, Gain($"{name}.weight"), Gain($"{name}.bias"), (float)Config.NormEpsilon);

    public override Value RmsNorm(ref Value x, string name) => Graph.RmsNorm(x, Gain($"{name}.weight"), (float)Config.NormEpsilon);

    public override Value Gelu(Value x) => Graph.Gelu(x);

    public override Value SwiGlu(Value h, Projection gate, Projection up) => Graph.SwiGlu(Linear(h, gate), Linear(h, up));

    public override Value Attention(Value h, params ReadOnlySpan<Projection> projections)
    {
        var (q, k, v) = projections.Length == 1
            ? Separate(Linear(h, projections[0]))
            : (Linear(h, projections[0]), Linear(h, projections[1]), Linear(h, projections[2]));
        (q, k, v) = (Sequences(q), Sequences(k), Sequences(v));    // [B, T, H*K], [B, T, G*K]
        if (_rotation is var (cos, sin))
        {
            q = Graph.RotaryEmbedding(q, cos, sin, Config.Heads);
            k = Graph.RotaryEmbedding(k, cos, sin, Config.KeyValueHeads);
        }
        return Rows(Attend(q, k, v));
    }

    /// <summary>Attention [B, T, H*K] of queries [B, T, H*K] over keys and values [B, T, G*K].</summary>
    protected virtual Value Attend(Value q, Value k, Value v) => Graph.CausalAttention(q, k, v, Config.Heads, Config.KeyValueHeads);

    public override Value Head(Value x, string name) => Graph.Gemm(x, Table(name), transposeB: true);    // [B*T, V]

    /// <summary>Rows [B*T, n] as [B, T, n]; undoes <see cref="Rows"/>.</summary>
    protected Value Sequences(Value x) => Graph.Reshape(x, [Shape.Batch, Shape.Time, x.Shape[1]]);

    private static (Value Cos, Value Sin) Rotation(GraphBuilder g, ModelConfig config, int time)
    {
        var (cos, sin) = RotaryTables.Of(config, time);
        return (g.Constant(cos), g.Constant(sin));
    }
}
