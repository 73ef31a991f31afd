using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// The parts of a decoder for answering: attention that remembers keys and values, few large products over [batch, sequence, D] in the form that
/// quantization and the runtime's prepacking want, a residual sum and its norm as one operator, scores of few tokens only.
/// </summary>
internal sealed class GenerationParts(GraphBuilder g, ModelConfig config, Positions positions) : ModelParts(g, config)
{
    private readonly List<(Value Key, Value Value)> _presents = [];
    private readonly Dictionary<string, MergedWeight> _weights = [];
    private (Value Cos, Value Sin)? _rotation;
    private Value? _positionIds;

    /// <summary>Keys and values [batch, G, present, K] by layer.</summary>
    public IReadOnlyList<(Value Key, Value Value)> Presents => _presents;

    /// <summary>How the parameters of this graph come from those of the family's files; the rest are the same.</summary>
    public IReadOnlyDictionary<string, MergedWeight> Weights => _weights;

    public override Value LearnedPositions(string name) =>
        Graph.Gather(Parameter($"{name}.weight", [Config.MaxPositions, Config.Width]), PositionIds);    // [batch, sequence, D]

    public override Value Rows(Value x) => x;

    public override Value Linear(Value x, Projection projection) => Linear(x, projection.Name, projection);

    public override Value LayerNorm(ref Value x, string name) => Norm(ref x, "LayerNormalization", Gain($"{name}.weight"), Gain($"{name}.bias"));

    /// <summary>The runtime keeps its RMSNorm in the standard domain under this name.</summary>
    public override Value RmsNorm(ref Value x, string name) => Norm(ref x, "SimplifiedLayerNormalization", Gain($"{name}.weight"));

    public override Value Gelu(Value x) => Graph.Emit("Gelu", [x], x.Type, x.Shape, ("approximate", "tanh"));

    public override Value SwiGlu(Value h, Projection gate, Projection up)
    {
        var halves = Graph.Split(Linear(h, "mlp.gate_up_proj", gate, up), -1, gate.Outputs, up.Outputs);
        return Graph.EmitMicrosoft("QuickGelu", [halves[0]], h.Type, halves[0].Shape, ("alpha", 1f)) * halves[1];
    }

    public override Value Attention(Value h, params ReadOnlySpan<Projection> projections)
    {
        var qkv = Linear(h, projections.Length == 1 ? projections[0].Name : "self_attn.qkv_proj", projections);
        if (!Config.IsRotary) return Attention(CachedAttention.Plain, qkv);
        if (RotatesInside) return Attention(CachedAttention.Rotary, qkv, Rotation.Cos, Rotation.Sin);
        var (q, k, v) = Separate(qkv);
        return Attention(CachedAttention.Plain, Graph.Concat(-1, Rotate(q), Rotate(k), v));
    }

    /// <summary>What the scores are computed from: [batch, sequence, D], after the last norm.</summary>
    public Value? Hidden { get; private set; }

    /// <summary>[batch·n, 1, V]. The table is used as the file holds it, so that one tied to the embedding is stored once.</summary>
    public override Value Head(Value x, string name)
    {
        using var scope = Graph.Scope("scored");
        Hidden = x;
        var at = Graph.Input(GenerationGraph.LogitsAt, ["scored"], TensorData.Int64s(-1));
        var rows = Graph.Emit("GatherND", [x, positions.At(at)], x.Type, ["batch", "scored", Config.Width], ("batch_dims", 1));
        return Graph.Unsqueeze(Graph.Gemm(Graph.Reshape(rows, ["rows", Config.Width]), Table(name), transposeB: true), 1);
    }

    /// <summary>The attention operator rotates by itself where its code is written for the size of the heads.</summary>
    private bool RotatesInside => Config.HeadSize % 16 == 0;

    private (Value Cos, Value Sin) Rotation => _rotation ??= Constants(RotaryTables.Of(Config, Config.MaxPositions));

    private Value PositionIds => _positionIds ??= positions.OfTokens();

    private (Value, Value) Constants((TensorData Cos, TensorData Sin) tables) => (Graph.Constant(tables.Cos), Graph.Constant(tables.Sin));

    private Value Rotate(Value x) => Graph.EmitMicrosoft("RotaryEmbedding", [x, PositionIds, Rotation.Cos, Rotation.Sin], x.Type, x.Shape);

    /// <summary>One product for all projections of x, their results side by side.</summary>
    private Value Linear(Value x, string name, params ReadOnlySpan<Projection> projections)
    {
        var all = projections.ToArray();
        int outputs = all.Sum(p => p.Outputs);
        var y = Graph.MatMul(x, Merged(name, "weight", all, [x.Shape[2], outputs]));
        return all[0].Bias ? y + Merged(name, "bias", all, [outputs]) : y;
    }

    private Value Merged(string name, string kind, Projection[] projections, TensorShape shape)
    {
        var value = Parameter($"{name}.{kind}", shape);
        string module = value.Name![..^$"{name}.{kind}".Length];
        bool transposed = shape.Rank == 2 && Config.Family != ModelFamily.Gpt2;
        _weights[value.Name] = new([.. projections.Select(p => $"{module}{p.Name}.{kind}")], transposed);
        return value;
    }

    private Value Norm(ref Value x, string op, params ReadOnlySpan<Value> gains)
    {
        var epsilon = ("epsilon", (AttributeValue)(float)Config.NormEpsilon);
        if (x.Producer is not { Op: "Add" } sum || !sum[0].Shape.Equals(sum[1].Shape))
            return Graph.Emit(op, [x, .. gains], x.Type, x.Shape, ("axis", -1), epsilon);

        // Outputs 1 and 2 are statistics that nobody reads; 3 is the sum.
        var outputs = Graph.Emit(
            $"Skip{op}", [sum[0], sum[1], .. gains], [.. Enumerable.Repeat((x.Type, x.Shape), 4)], new Attributes(epsilon), "com.microsoft");
        x = outputs[3];
        return outputs[0];
    }

    private Value Attention(Function function, Value qkv, params Value[] rotation)
    {
        TensorShape past = ["batch", Config.KeyValueHeads, "past", Config.HeadSize];
        var pastKey = Graph.Input(GenerationGraph.PastKey(Layer), ElementType.Float, past);
        var pastValue = Graph.Input(GenerationGraph.PastValue(Layer), ElementType.Float, past);
        var outputs = function.Call(
            Graph, [qkv, pastKey, pastValue, positions.KeyLengths, positions.TotalLength, .. rotation], ("num_heads", Config.Heads), ("kv_num_heads", Config.KeyValueHeads));
        _presents.Add((outputs[1], outputs[2]));
        return outputs[0];
    }
}
