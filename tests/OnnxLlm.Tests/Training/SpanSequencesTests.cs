using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Tests.Training;

public sealed class SpanSequencesTests
{
    private const int End = 1, FirstSentinel = 20_000;

    private static readonly ModelConfig Model = ModelConfig.Preset("t5-small");

    private static readonly ImmutableArray<int> Sentinels = [.. Enumerable.Range(FirstSentinel, 20)];

    /// <summary>Each sentinel in what is read, replaced by what stands behind it in what is written, gives the window again.</summary>
    [Theory]
    [InlineData(40, 0.15, 3)]
    [InlineData(17, 0.5, 1)]
    [InlineData(64, 0.9, 2)]
    [InlineData(3, 0.15, 3)]
    public void Input_WithTheSpansOfTheTarget_IsTheWindow(int length, double rate, double mean)
    {
        var sequences = Sequences(1000, length, new() { Rate = rate, Length = mean });
        var next = 0;
        for (var i = 0L; i < sequences.Count; i++)
        {
            var batch = TokenDataset.Pack(sequences, 1, _ => (i, 7 + i));
            int read = (int)batch.AttentionMask.Sum(), written = batch.ValidTokens;
            if (written == 0) continue;
            Assert.Equal((End, End), ((int)batch.InputIds[read - 1], (int)batch.Labels[written - 1]));
            Assert.Equal([0L, .. batch.Labels[..(written - 1)]], batch.DecoderInputIds[..written]);
            foreach (var id in Restored(batch.InputIds[..(read - 1)], batch.Labels[..(written - 1)])) Assert.Equal(next++, id);
        }

        Assert.InRange(next, 999, 1000);     // a last token alone has nothing that could stay
    }

    /// <summary>Of 12,000 tokens in windows of the same size the share of each window is the wanted one, rounded; spans have the wanted mean.</summary>
    [Fact]
    public void Shares_AreTheWantedOnes()
    {
        var sequences = Sequences(12_000, 128, new());
        var (hidden, spans, read) = (0L, 0L, 0L);
        for (var i = 0L; i < sequences.Count - 1; i++)
        {
            var batch = TokenDataset.Pack(sequences, 1, _ => (i, i));
            long sentinels = batch.InputIds.Count(id => id >= FirstSentinel);
            (spans, hidden, read) = (spans + sentinels, hidden + batch.ValidTokens - 1 - sentinels, read + batch.AttentionMask.Sum() - 1 - sentinels);
        }

        Assert.Equal(0.15, (double)hidden / (hidden + read), 0.005);
        Assert.Equal(3, (double)hidden / spans, 0.2);
    }

    [Fact]
    public void Spans_DependOnSeedAndDraw_AndOnNothingElse()
    {
        long[] Of(long seed, long draw) => TokenDataset.Pack(Sequences(1000, 40, new(), seed), 1, _ => (2, draw)).InputIds;
        Assert.Equal(Of(1, 5), Of(1, 5));
        Assert.NotEqual(Of(1, 5), Of(1, 6));
        Assert.NotEqual(Of(1, 5), Of(2, 5));
    }

    /// <summary>The first and the last of the places between two spans are cut as often as those in the middle.</summary>
    [Fact]
    public void Divisions_AreAllAsLikely()
    {
        // Windows of 8 with 4 hidden in 2 spans: what stays is divided into 1 + 3, 2 + 2 or 3 + 1.
        var sequences = Sequences(8, 8, new() { Rate = 0.5, Length = 2 });
        const int Draws = 3000;
        var counts = Enumerable.Range(0, Draws).CountBy(draw => Array.FindIndex(TokenDataset.Pack(sequences, 1, _ => (0, draw)).InputIds, id => id >= FirstSentinel)).ToDictionary();
        Assert.Equal([1, 2, 3], counts.Keys.Order());

        // Five standard deviations of a binomial count.
        Assert.All(counts.Values, count => Assert.Equal(Draws / 3.0, count, 5 * Math.Sqrt(Draws * (1 / 3.0) * (2 / 3.0))));
    }

    [Fact]
    public void MoreSpansThanSentinels_ThereAreNever()
    {
        var sequences = new SpanSequences(1000, Read, 100, new() { Rate = 0.5, Length = 1 }, [.. Sentinels.Take(4)], Model, 1);
        for (var i = 0L; i < sequences.Count - 1; i++) Assert.Equal(4, TokenDataset.Pack(sequences, 1, _ => (i, i)).InputIds.Count(id => id >= FirstSentinel));
    }

    private static SpanSequences Sequences(int tokens, int length, SpansConfig spans, long seed = 1) => new(tokens, Read, length, spans, Sentinels, Model, seed);

    /// <summary>Token i of the stream is i.</summary>
    private static void Read(long offset, Span<int> ids)
    {
        for (var i = 0; i < ids.Length; i++) ids[i] = (int)offset + i;
    }

    private static IEnumerable<int> Restored(long[] input, long[] target) => input.SelectMany(id => id < FirstSentinel
        ? [(int)id]
        : target.SkipWhile(other => other != id).Skip(1).TakeWhile(other => other < FirstSentinel).Select(other => (int)other));
}
