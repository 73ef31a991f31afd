using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.EncoderDecoders;

/// <summary>
/// The parts of an encoder-decoder's decoder for answering: one new token for each row, whose key and value are put into the row's cache where its earlier ones end.
/// </summary>
/// <param name="past">int64 [batch]: tokens of each row that came before.</param>
/// <param name="mask">int64 [batch, source]: 1 for a token that was read, 0 for padding.</param>
internal sealed class WritingParts(GraphBuilder g, ModelConfig config, Value past, Value mask) : AnsweringParts(g, config)
{
    private readonly List<(Value Key, Value Value)> _presents = [];
    private readonly Dictionary<string, Value> _pasts = [];
    private readonly TensorShape _cache = ["batch", "length", config.QueryWidth];
    private Value? _places, _bias, _hidden;

    /// <summary>Keys and values [batch, length, H*K] by layer.</summary>
    public IReadOnlyList<(Value Key, Value Value)> Presents => _presents;

    public override void LearnDistances(string table)
    {
        var row = Graph.Range(Scalar(0), Graph.Reshape(Graph.ExtentOf(past, 0), []), Scalar(1), "batch");
        _places = Graph.Concat(1, Graph.Unsqueeze(row, 1), Graph.Unsqueeze(past, 1));                               // [batch, 2]
        _hidden = Hidden(mask);

        // The cache of the first block is as long as all of them.
        var relative = Places(Past(0).Key) - Graph.Unsqueeze(past, 1);                                              // [batch, length]
        var later = HiddenWhere(Graph.Less(Scalar(0), Graph.Unsqueeze(Graph.Unsqueeze(relative, 1), 1)));           // [batch, 1, 1, length]
        _bias = Bias(table, Graph.Unsqueeze(relative, 1), bothWays: false) + later;                                 // [batch, H, 1, length]
    }

    public override Value Attention(Value h, params ReadOnlySpan<Projection> projections)
    {
        var (q, k, v) = Queries(h, projections);    // [batch, 1, H*K]
        var (pastKey, pastValue) = Past(_presents.Count);
        var present = (Key: Put(pastKey, k), Value: Put(pastValue, v));
        _presents.Add(present);
        return Graph.BiasedAttention(q, present.Key, present.Value, _bias!, Config.Heads);
    }

    public override (Value Key, Value Value) Memory(Value encoded, Projection key, Projection value) => throw new GraphException("The encoder's graph gives the decoder its memory.");

    public override Value CrossAttention(Value h, Projection query, (Value Key, Value Value) memory) =>
        Graph.BiasedAttention(Linear(h, query), memory.Key, memory.Value, _hidden!, Config.Heads);

    private (Value Key, Value Value) Past(int layer)
    {
        return (Of(DecoderGraph.PastKey(layer)), Of(DecoderGraph.PastValue(layer)));

        Value Of(string name) => _pasts.TryGetValue(name, out var known) ? known : _pasts[name] = Graph.Input(name, ElementType.Float, _cache);
    }

    /// <summary>In place where past and present are bound to the same memory.</summary>
    private Value Put(Value cache, Value one) =>
        Graph.Emit("ScatterND", [cache, _places, Graph.Reshape(one, ["batch", Config.QueryWidth])], cache.Type, cache.Shape);
}
