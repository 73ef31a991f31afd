using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>What must hold of a decoder whatever its weights are.</summary>
public sealed class ModelPropertyTests
{
    private static readonly TrainingShape Shape = new(RecordedModel.Batch, RecordedModel.Time);

    [Theory]
    [MemberData(nameof(RecordedModel.NamesAndKernels), MemberType = typeof(RecordedModel))]
    public void ChangedToken_LeavesEarlierLogits_BitIdentical(string name, bool kernels)
    {
        var model = TinyModel.Named(name);
        long[] ids = Ids(model);
        float[] before = TrainingLogits.Of(model, ids, Shape, kernels);
        int v = model.Config.VocabularySize;
        foreach (int changed in new[] { 1, 6, 11 })
        {
            long[] other = [.. ids];
            other[Shape.Time + changed] = (other[Shape.Time + changed] + 1) % v;
            float[] after = TrainingLogits.Of(model, other, Shape, kernels);

            // The changed token is in the second sequence: the first is untouched, and so are the positions before the change.
            int first = (Shape.Time + changed) * v;
            Assert.True(before.AsSpan(0, first).SequenceEqual(after.AsSpan(0, first)), $"A logit before position {changed} has changed.");
            for (int position = changed; position < Shape.Time; position++)
            {
                int at = (Shape.Time + position) * v;
                Assert.False(before.AsSpan(at, v).SequenceEqual(after.AsSpan(at, v)), $"The change at {changed} does not reach position {position}.");
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GroupedQueries_EqualMultiHeadAttention_WithTheKeysOfAGroupRepeated(bool kernels)
    {
        var grouped = TinyModel.Named("qwen2-tiny");
        var config = grouped.Config with { KeyValueHeads = grouped.Config.Heads };
        var repeated = new TinyModel(config, name => name.Contains("k_proj", StringComparison.Ordinal) || name.Contains("v_proj", StringComparison.Ordinal)
            ? Repeat(grouped.Weight(name), grouped.Config)
            : grouped.Weight(name));
        Assert.Equal(TrainingLogits.Of(grouped, Ids(grouped), Shape, kernels), TrainingLogits.Of(repeated, Ids(grouped), Shape, kernels));
    }

    [Fact]
    public void RotaryPositions_EnterScores_OnlyByTheirDifference()
    {
        const int Time = 16, Size = 8;
        var config = TinyModel.Named("llama-tiny").Config;
        var random = new Random(1);
        float[] q = [.. Enumerable.Range(0, Size).Select(_ => random.NextSingle() - 0.5f)], k = [.. Enumerable.Range(0, Size).Select(_ => random.NextSingle() - 0.5f)];

        float[] scores = RotatedScores(config, q, k, Time);

        // All tokens have the same query and key, so score [i, j] may depend on i − j alone. 64 roundings of products below 1: 4e-6.
        for (int i = 1; i < Time; i++)
            for (int j = 1; j < Time; j++)
                Assert.Equal(scores[(i - 1) * Time + j - 1], scores[i * Time + j], 4e-6);
        Assert.True(scores.Max() - scores.Min() > 0.1, "The rotation does nothing.");
    }

    /// <summary>Scores [T, T] of one head of which every token has the same query and key.</summary>
    private static float[] RotatedScores(ModelConfig config, float[] q, float[] k, int time)
    {
        var g = new GraphBuilder();
        var (cos, sin) = RotaryTables.Of(config, time);
        Value Rotated(string name) => g.RotaryEmbedding(g.Expand(g.Input(name, ElementType.Float, [1, 1, q.Length]), [1, time, q.Length]), g.Constant(cos), g.Constant(sin), 1);
        g.Output("scores", g.MatMul(Rotated("q"), g.SwapLastTwo(Rotated("k"))));

        using var session = new OrtSession(OnnxFile.ToBytes(g.Build()), new SessionSettings { Threads = 1 });
        using TensorBuffer query = TensorBuffer.Of(q, 1, 1, q.Length), key = TensorBuffer.Of(k, 1, 1, k.Length);
        using var scores = session.Run(new Dictionary<string, TensorBuffer> { ["q"] = query, ["k"] = key })["scores"];
        return scores.Span<float>().ToArray();
    }

    private static long[] Ids(TinyModel model)
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, Shape.Batch * Shape.Time).Select(_ => (long)random.Next(model.Config.VocabularySize))];
    }

    /// <summary>Rows of each key/value head once for every query head that reads it; a bias has one column.</summary>
    private static float[] Repeat(float[] rows, ModelConfig config) =>
        [.. rows.Chunk(rows.Length / config.KeyValueHeads).SelectMany(head => Enumerable.Repeat(head, config.Heads / config.KeyValueHeads).SelectMany(r => r))];
}
