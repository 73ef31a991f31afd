using OnnxLlm.Tools;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tests.Tools;

public sealed class EvaluationTests
{
    private const int Vocabulary = 11;

    /// <summary>Every token stands for as many bytes as its id.</summary>
    private static readonly EvaluationText Text = new([.. Enumerable.Range(0, 50).Select(i => i * 7 % Vocabulary)], id => id);

    [Theory]
    [InlineData(50, 16, 16)]
    [InlineData(50, 16, 4)]
    [InlineData(49, 16, 16)]
    [InlineData(17, 16, 5)]
    [InlineData(10, 16, 16)]
    [InlineData(2, 16, 1)]
    public void Cut_AnyText_ScoresEveryTokenButTheFirstOnce(int tokens, int context, int stride)
    {
        var windows = EvaluationWindow.Cut(tokens, context, stride).ToArray();
        var scored = windows.SelectMany(w => Enumerable.Range(w.FirstScored, w.Scored).Select(i => w.Start + i + 1));
        Assert.Equal(Enumerable.Range(1, tokens - 1).Select(i => (long)i), scored);
        Assert.All(windows, w => Assert.InRange(w.Length, 1, context));
        Assert.All(windows.Skip(1), w => Assert.True(w.FirstScored + 1 > context - stride, "every later token has context − stride tokens before it"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(17)]
    public void Cut_StrideOutsideTheWindow_IsRefused(int stride) => Assert.Throws<ToolException>(() => EvaluationWindow.Cut(50, 16, stride));

    [Theory]
    [InlineData(16)]
    [InlineData(5)]
    public void Score_ModelWithMemory_EqualsBruteForce(int stride)
    {
        var losses = new List<double>();
        for (int position = 1; position < Text.Tokens.Length; position++)
        {
            // The window that scores this token is the first to reach it.
            int start = 0;
            while (start + 16 < position) start += stride;
            float[] row = Rows(Text.Tokens.AsSpan(start, position - start))[^Vocabulary..];
            losses.Add(-Math.Log(Math.Exp(row[Text.Tokens[position]]) / row.Sum(v => Math.Exp(v))));
        }
        var score = new Evaluator(Text, 16, stride).Score(t => Rows(t));
        double mean = losses.Average(), variance = losses.Sum(l => (l - mean) * (l - mean)) / (losses.Count - 1);
        Assert.Equal(mean, score.NegativeLogLikelihood, 1e-9);
        Assert.Equal(Math.Sqrt(variance / losses.Count), score.StandardError, 1e-9);
        Assert.Equal(losses.Sum() / Math.Log(2) / Text.Tokens.Skip(1).Sum(), score.BitsPerByte, 1e-9);
        Assert.Equal(Math.Exp(mean), score.Perplexity, 1e-9);
    }

    [Fact]
    public void Score_UniformModel_HasThePerplexityOfTheVocabulary()
    {
        var score = new Evaluator(Text, 16, 16).Score(tokens => new float[tokens.Length * Vocabulary]);
        Assert.Equal(Vocabulary, score.Perplexity, 1e-9);
        Assert.Equal(0, score.StandardError, 1e-9);
    }

    [Fact]
    public void Score_LogitsThatAreNotNumbers_IsAnError() => Assert.Throws<ToolException>(() =>
        new Evaluator(Text, 16, 16).Score(tokens => Enumerable.Repeat(float.NaN, tokens.Length * Vocabulary).ToArray()));

    [Fact]
    public void Compare_ModelWithItself_ShowsNoDifference()
    {
        var comparison = new Evaluator(Text, 16, 8).Compare(t => Rows(t), t => Rows(t));
        Assert.Equal((0, 0, 0, 1), (comparison.PerplexityLoss, comparison.DifferenceError, comparison.Divergence, comparison.Agreement));
        Assert.Equal(comparison.First, comparison.Second);
    }

    [Fact]
    public void Compare_OtherModel_MeasuresLossDivergenceAndAgreement()
    {
        // The second model prefers token 0 by e² everywhere; the first knows nothing.
        var comparison = new Evaluator(new([0, 0, 1, 0], _ => 1), 8, 8).Compare(
            t => new float[t.Length * 4],
            t => Enumerable.Range(0, t.Length * 4).Select(i => i % 4 == 0 ? 2f : 0f).ToArray());
        double total = Math.Exp(2) + 3, p0 = Math.Exp(2) / total, p1 = 1 / total;
        double second = -(2 * Math.Log(p0) + Math.Log(p1)) / 3;
        Assert.Equal(second - Math.Log(4), comparison.Difference, 1e-9);
        Assert.Equal(Math.Exp(second) / 4 - 1, comparison.PerplexityLoss, 1e-9);
        Assert.Equal(-(Math.Log(4 * p0) + 3 * Math.Log(4 * p1)) / 4, comparison.Divergence, 1e-9);
        Assert.Equal(1, comparison.Agreement); // of four equal logits the first counts as the largest
    }

    [Fact]
    public void Unigram_SmoothedCounts_PredictByFrequency()
    {
        var baseline = new UnigramBaseline(4);
        baseline.Count([0, 0, 0, 1]);
        baseline.Count([1, 2]);
        Assert.Equal([-Math.Log(4 / 10.0), -Math.Log(3 / 10.0), -Math.Log(2 / 10.0), -Math.Log(1 / 10.0)], Enumerable.Range(0, 4).Select(baseline.Loss), Close);
        var score = new Evaluator(new([3, 0, 1], _ => 1), 8, 8).Score(baseline);
        Assert.Equal(-(Math.Log(0.4) + Math.Log(0.3)) / 2, score.NegativeLogLikelihood, 1e-12);
    }

    private static bool Close(double a, double b) => Math.Abs(a - b) < 1e-12;

    /// <summary>A model whose logits depend on everything it has read: row i is made from a running hash of tokens 0 … i.</summary>
    private static float[] Rows(ReadOnlySpan<int> tokens)
    {
        float[] rows = new float[tokens.Length * Vocabulary];
        uint state = 17;
        for (int i = 0; i < tokens.Length; i++)
        {
            state = (state + (uint)tokens[i]) * 2654435761u;
            for (int v = 0; v < Vocabulary; v++) rows[i * Vocabulary + v] = ((state >> v) & 255) / 64f;
        }
        return rows;
    }
}
