using OnnxLlm.Serving;
using OnnxLlm.Serving.Engine;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

public sealed class SamplerTests
{
    private const int Draws = 20_000;

    /// <summary>99.9 % quantiles of χ² for 0 … 4 degrees of freedom.</summary>
    private static readonly double[] Quantiles = [0, 10.83, 13.82, 16.27, 18.47];

    private static readonly float[] Logits = [1.5f, 0.25f, -0.5f, 0.75f, -2f];

    public static TheoryData<string> Restrictions => ["none", "temperature", "top_k", "top_p", "min_p", "all"];

    [Theory]
    [MemberData(nameof(Restrictions))]
    public void Draw_ManyTimes_FollowsTheDistribution(string restriction)
    {
        var settings = Settings(restriction);
        var expected = Expected(Logits, settings);
        var counts = new int[Logits.Length];
        for (ulong seed = 0; seed < Draws; seed++) counts[Choose(Logits, settings with { Seed = seed })]++;

        Assert.All(expected.Zip(counts), pair => Assert.True(pair.First > 0 || pair.Second == 0));
        var possible = expected.Zip(counts).Where(pair => pair.First > 0).ToArray();
        var chiSquare = possible.Sum(pair => Math.Pow(pair.Second - pair.First * Draws, 2) / (pair.First * Draws));
        Assert.True(chiSquare <= Quantiles[possible.Length - 1], $"χ² is {chiSquare} with {possible.Length} outcomes.");
    }

    [Fact]
    public void Draw_AlongPositionsAndChoices_IsUniformToo()
    {
        var counts = new int[10];
        for (var i = 0; i < Draws; i++) counts[(int)(10 * CounterRandom.Uniform(7, i % 4, i / 4))]++;
        var chiSquare = counts.Sum(count => Math.Pow(count - Draws / 10.0, 2) / (Draws / 10.0));
        Assert.InRange(chiSquare, 0.5, 27.88);      // 9 degrees of freedom: 99.9 %, and not suspiciously even
    }

    [Fact]
    public void Greedy_OnTies_TakesTheLowestToken() => Assert.Equal(1, Choose([0, 3, 3, 3, 1], Greedy));

    [Fact]
    public void TopPOfZero_KeepsTheBestToken() => Assert.Equal(0, Choose(Logits, new() { TopP = 0, Seed = 5 }));

    [Fact]
    public void TopKBeyondTheVocabulary_KeepsAll() =>
        Assert.Equal(Choose(Logits, new() { TopK = 5, Seed = 9 }), Choose(Logits, new() { TopK = 500, Seed = 9 }));

    [Fact]
    public void LogitBias_OfMinusHundred_ForbidsTheToken() =>
        Assert.Equal(3, Choose(Logits, Greedy with { LogitBias = [new(0, -100)] }));

    [Fact]
    public void PresencePenalty_CountsATokenOnce() =>
        Assert.Equal(0, ChooseAfter([0, 0, 0], Greedy with { PresencePenalty = 0.5 }));

    [Fact]
    public void FrequencyPenalty_CountsEveryTime() =>
        Assert.Equal(3, ChooseAfter([0, 0, 0], Greedy with { FrequencyPenalty = 0.5 }));

    [Fact]
    public void RepetitionPenalty_AlsoHoldsForThePrompt() =>
        Assert.Equal(3, Choose(Logits, Greedy with { RepetitionPenalty = 4 }, prompt: [0]));

    [Fact]
    public void PresencePenalty_LeavesThePromptAlone() =>
        Assert.Equal(0, Choose(Logits, Greedy with { PresencePenalty = 2 }, prompt: [0]));

    [Fact]
    public void MinTokens_KeepsTheEndAway()
    {
        var sequence = new Sequence { Prompt = [1], MaxTokens = 4, MinTokens = 1, EndTokens = [0], Sampling = Greedy, Output = Create([1], 1).Output };
        var sampler = new Sampler(Logits.Length);
        Assert.Equal(3, sampler.Choose(Logits, sequence));
        sequence.Append(3);
        Assert.Equal(0, sampler.Choose(Logits, sequence));
    }

    [Fact]
    public void ScoresThatAreNotNumbers_AreAFault() =>
        Assert.Contains("finite", Assert.Throws<ServingException>(() => Choose([0, float.NaN, 1], Greedy)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(1e-300)]
    [InlineData(1e-5)]
    [InlineData(2)]
    public void Temperature_AnyInRange_ChoosesAToken(double temperature) =>
        Assert.InRange(Choose([1e30f, -1e30f, 0], new() { Temperature = temperature }), 0, 0);

    [Fact]
    public void Score_OfAToken_IsItsLogProbability()
    {
        var score = LogProbs.Score([0, MathF.Log(2), MathF.Log(5), float.NegativeInfinity], 1, 4);
        Assert.Equal(Math.Log(0.25), score.LogProb, 1e-6);
        Assert.Equal([2, 1, 0, 3], score.Top.Select(top => top.Token));
        Assert.Equal(score.LogProb, score.Top[1].LogProb);
        Assert.Equal(LogProbs.Impossible, score.Top[3].LogProb);
    }

    private static SamplingSettings Settings(string restriction) => restriction switch
    {
        "temperature" => new() { Temperature = 0.6 },
        "top_k" => new() { TopK = 3 },
        "top_p" => new() { TopP = 0.8 },
        "min_p" => new() { MinP = 0.2 },
        "all" => new() { Temperature = 1.3, TopK = 4, TopP = 0.95, MinP = 0.1 },
        _ => new(),
    };

    /// <summary>The definition, without any of the sampler's shortcuts.</summary>
    private static double[] Expected(float[] logits, SamplingSettings settings)
    {
        var p = Normalize([.. logits.Select(x => Math.Exp(x / settings.Temperature))]);
        var order = Enumerable.Range(0, p.Length).OrderByDescending(i => p[i]).ToArray();
        if (settings.TopK > 0) p = Keep(p, order.Take(settings.TopK));
        p = Keep(p, order.Where((_, rank) => order.Take(rank).Sum(i => p[i]) < settings.TopP));
        return Keep(p, order.Where(i => p[i] >= settings.MinP * p.Max()));
    }

    private static double[] Keep(double[] p, IEnumerable<int> kept) => Normalize([.. p.Select((x, i) => kept.Contains(i) ? x : 0)]);

    private static double[] Normalize(double[] p) => [.. p.Select(x => x / p.Sum())];

    private static int Choose(float[] logits, SamplingSettings settings, int[]? prompt = null) =>
        new Sampler(logits.Length).Choose(logits, Create(prompt ?? [4], 8, settings));

    private static int ChooseAfter(int[] answer, SamplingSettings settings)
    {
        var sequence = Create([4], 8, settings);
        foreach (var token in answer) sequence.Append(token);
        return new Sampler(Logits.Length).Choose(Logits, sequence);
    }
}
