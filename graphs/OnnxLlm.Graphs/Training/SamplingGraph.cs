using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// An auxiliary graph for looking at what a model in training writes: parameters, <c>sample_ids</c> int64 [1, T] and <c>sample_position</c>
/// int64 [1] → <c>sample_logits</c> [1, V], the scores of the token after that position. Without a cache: a few tokens now and then.
/// </summary>
public static class SamplingGraph
{
    public const string Ids = "sample_ids", Position = "sample_position", Logits = "sample_logits";

    public static Graph Create(ModelConfig config, int time)
    {
        var g = new GraphBuilder("sampling");
        var ids = g.Input(Ids, ElementType.Int64, [1, time]);
        var parts = new OneRow(g, config.Validated(), new TrainingShape(1, time), g.Input(Position, ElementType.Int64, [1]));
        g.Output(Logits, new Decoder(config, parts).Logits(ids));
        return g.Build();
    }

    /// <summary>Only one row meets the table of the vocabulary.</summary>
    private sealed class OneRow(GraphBuilder g, ModelConfig config, TrainingShape shape, Value position) : TrainingParts(g, config, shape)
    {
        public override Value Head(Value x, string name) => base.Head(Graph.Gather(x, position), name);    // [1, V]
    }
}
