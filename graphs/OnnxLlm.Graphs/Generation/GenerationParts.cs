using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// The parts of a decoder for answering: attention that remembers keys and values, products over [batch, sequence, D] in the form that quantization
/// and the runtime's prepacking want, scores of the last token only.
/// </summary>
internal sealed class GenerationParts(GraphBuilder g, ModelConfig config, Positions positions) : DecoderParts(g, config)
{
    /// <summary>Suffix of weights that a file of the family holds the other way round.</summary>
    public const string Transposed = ".transposed";

    /// <summary>Name that the node which picks the last token has in the file.</summary>
    public const string SelectNode = "last_token/GatherND";

    private readonly List<(Value Key, Value Value)> _presents = [];
    private (Value Cos, Value Sin)? _rotation;
    private Value? _positionIds;

    /// <summary>Keys and values [batch, G, present, K] by layer.</summary>
    public IReadOnlyList<(Value Key, Value Value)> Presents => _presents;

    public override Value LearnedPositions(string name) =>
        Graph.Gather(Parameter($"{name}.weight", [Config.MaxPositions, Config.Width]), PositionIds);    // [batch, sequence, D]

    public override Value Rows(Value x) => x;

    public override Value Linear(Value x, string name, int outputs, bool bias)
    {
        string suffix = Config.Family == ModelFamily.Gpt2 ? "" : Transposed;
        var y = Graph.MatMul(x, Parameter($"{name}.weight{suffix}", [x.Shape[2], outputs]));
        return bias ? y + Parameter($"{name}.bias", [outputs]) : y;
    }

    public override Value LayerNorm(Value x, string name) => Graph.Emit(
        "LayerNormalization", [x, Gain($"{name}.weight"), Gain($"{name}.bias")], x.Type, x.Shape, ("axis", -1), ("epsilon", (float)Config.NormEpsilon));

    /// <summary>The runtime keeps its RMSNorm in the standard domain under this name.</summary>
    public override Value RmsNorm(Value x, string name) => Graph.Emit(
        "SimplifiedLayerNormalization", [x, Gain($"{name}.weight")], x.Type, x.Shape, ("axis", -1), ("epsilon", (float)Config.NormEpsilon), ("stash_type", 1));

    public override Value Gelu(Value x) => Graph.Emit("Gelu", [x], x.Type, x.Shape, ("approximate", "tanh"));

    public override Value SwiGlu(Value gate, Value up) => Graph.EmitMicrosoft("QuickGelu", [gate], gate.Type, gate.Shape, ("alpha", 1f)) * up;

    public override Value Attention(Value q, Value k, Value v)
    {
        TensorShape past = ["batch", Config.KeyValueHeads, "past", Config.HeadSize], present = past.With(2, "present");
        var pastKey = Graph.Input(GenerationGraph.PastKey(Layer), ElementType.Float, past);
        var pastValue = Graph.Input(GenerationGraph.PastValue(Layer), ElementType.Float, past);
        if (Config.IsRotary && !RotatesInside) (q, k) = (Rotate(q), Rotate(k));

        ImmutableArray<Value?> inputs = [q, k, v, pastKey, pastValue, positions.KeyLengths, positions.TotalLength];
        var outputs = Graph.Emit(
            "GroupQueryAttention",
            RotatesInside ? [.. inputs, Rotation.Cos, Rotation.Sin] : inputs,
            [(q.Type, q.Shape), (k.Type, present), (v.Type, present)],
            new Attributes(("num_heads", Config.Heads), ("kv_num_heads", Config.KeyValueHeads), ("do_rotary", RotatesInside ? 1 : 0)),
            "com.microsoft");
        _presents.Add((outputs[1], outputs[2]));
        return outputs[0];
    }

    /// <summary>[batch, 1, V]. The table is used as the file holds it, so that one tied to the embedding is stored once.</summary>
    public override Value Head(Value x, string name)
    {
        using var scope = Graph.Scope("last_token");
        var last = Graph.Emit("GatherND", [x, positions.LastIndex], x.Type, ["batch", Config.Width], ("batch_dims", 1));
        return Graph.Unsqueeze(Graph.Gemm(last, Table(name), transposeB: true), 1);
    }

    private Value Gain(string name) => Parameter(name, [Config.Width]);

    /// <summary>The attention operator rotates by itself where its code is written for the size of the heads.</summary>
    private bool RotatesInside => Config.IsRotary && Config.HeadSize % 16 == 0;

    private (Value Cos, Value Sin) Rotation => _rotation ??= Constants(RotaryTables.Of(Config, Config.MaxPositions));

    private Value PositionIds => _positionIds ??= positions.OfTokens();

    private Value Rotate(Value x) => Graph.EmitMicrosoft("RotaryEmbedding", [x, PositionIds, Rotation.Cos, Rotation.Sin], x.Type, x.Shape);

    private (Value, Value) Constants((TensorData Cos, TensorData Sin) tables) => (Graph.Constant(tables.Cos), Graph.Constant(tables.Sin));
}
