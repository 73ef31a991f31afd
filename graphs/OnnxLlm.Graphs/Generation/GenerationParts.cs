using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// The parts of a decoder for answering: attention that remembers keys and values, scores of few tokens only.
/// </summary>
internal sealed class GenerationParts(GraphBuilder g, ModelConfig config, Positions positions) : InferenceParts(g, config)
{
    private readonly List<(Value Key, Value Value)> _presents = [];
    private (Value Cos, Value Sin)? _rotation;
    private Value? _positionIds;

    /// <summary>Keys and values [batch, G, present, K] by layer.</summary>
    public IReadOnlyList<(Value Key, Value Value)> Presents => _presents;

    public override Value LearnedPositions(string name) =>
        Graph.Gather(Parameter($"{name}.weight", [Config.MaxPositions, Config.Width]), PositionIds);    // [batch, sequence, D]

    public override Value Gelu(Value x) => Graph.Emit("Gelu", [x], x.Type, x.Shape, ("approximate", "tanh"));

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
