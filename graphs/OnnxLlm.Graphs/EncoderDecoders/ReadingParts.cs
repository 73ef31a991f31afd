using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.EncoderDecoders;

/// <summary>The parts of an encoder-decoder's encoder for answering: attention of every token to every other that is not padding, and the keys and values that the decoder looks at.</summary>
/// <param name="ids">int64 [batch, source].</param>
/// <param name="mask">int64 [batch, source]: 1 for a token, 0 for padding.</param>
internal sealed class ReadingParts(GraphBuilder g, ModelConfig config, Value ids, Value mask) : AnsweringParts(g, config)
{
    private Value? _bias;

    public override void LearnDistances(string table)
    {
        var places = Places(ids);                                                               // [source]
        var relative = Graph.Unsqueeze(places - Graph.Unsqueeze(places, 1), 0);                // [1, source, source]
        _bias = Bias(table, relative, bothWays: true) + Hidden(mask);                           // [batch, H, source, source]
    }

    public override Value Attention(Value h, params ReadOnlySpan<Projection> projections)
    {
        var (q, k, v) = Queries(h, projections);
        return Graph.BiasedAttention(q, k, v, _bias!, Config.Heads);
    }

    public override (Value Key, Value Value) Memory(Value encoded, Projection key, Projection value)
    {
        var both = Graph.Split(Linear(encoded, "layer.1.EncDecAttention.kv", key, value), -1, key.Outputs, value.Outputs);
        return (both[0], both[1]);
    }

    public override Value CrossAttention(Value h, Projection query, (Value Key, Value Value) memory) => throw new GraphException("An encoder has nothing to look at but its text.");
}
