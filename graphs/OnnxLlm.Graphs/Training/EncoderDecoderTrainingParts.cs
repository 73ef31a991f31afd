using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>The parts of one side of an encoder-decoder, with gradients.</summary>
/// <param name="hidden">[B, 1, 1, S]: <see cref="BiasedAttention.Hidden"/> for what of the text that is read is padding, else 0.</param>
/// <param name="decodes">Whether this is the side that writes, where nobody sees what comes later.</param>
internal sealed class EncoderDecoderTrainingParts(GraphBuilder g, ModelConfig config, TrainingShape shape, Value hidden, bool decodes)
    : TrainingParts(g, config, shape), IEncoderDecoderParts
{
    private Value? _bias;

    /// <summary>[B, 1, 1, S] from a mask int64 [B, S].</summary>
    public static Value Hidden(GraphBuilder g, Value mask)
    {
        var zero = g.Constant(TensorData.Scalar(0, ElementType.Float));
        return g.Where(g.Equal(g.Unsqueeze(g.Unsqueeze(mask, 1), 1), g.Int64s(0)), g.Scalar(BiasedAttention.Hidden, zero), zero);
    }

    public void LearnDistances(string table)
    {
        var learned = RelativeDistances.Bias(Graph, Config, Parameter($"{table}.weight", [Config.RelativeBuckets, Config.Heads]), Relative(), bothWays: !decodes);
        _bias = learned + (decodes ? Later() : hidden);
    }

    public (Value Key, Value Value) Memory(Value encoded, Projection key, Projection value) => (Sequences(Linear(encoded, key)), Sequences(Linear(encoded, value)));

    public Value CrossAttention(Value h, Projection query, (Value Key, Value Value) memory) =>
        Rows(Graph.BiasedAttention(Sequences(Linear(h, query)), memory.Key, memory.Value, hidden, Config.Heads));

    protected override Value Attend(Value q, Value k, Value v) =>
        Graph.BiasedAttention(q, k, v, _bias ?? throw new GraphException("Attention comes before its table of distances."), Config.Heads);

    /// <summary>int64 [1, T, T]: place of the key less that of the query.</summary>
    private Value Relative() => Graph.Constant(TensorData.Of<long>(ElementType.Int64, [1, Time, Time], [.. Pairs((query, key) => (long)(key - query))]));

    /// <summary>[1, 1, T, T]: hides the keys after a query.</summary>
    private Value Later() => Graph.Constant(TensorData.Of<float>(ElementType.Float, [1, 1, Time, Time], [.. Pairs((query, key) => key > query ? (float)BiasedAttention.Hidden : 0)]));

    private int Time => Shape.Time;

    private IEnumerable<T> Pairs<T>(Func<int, int, T> of) => Enumerable.Range(0, Time).SelectMany(query => Enumerable.Range(0, Time).Select(key => of(query, key)));
}
