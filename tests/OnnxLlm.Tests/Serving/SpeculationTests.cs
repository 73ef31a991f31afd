using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Support;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

/// <summary>Guessing ahead changes how many passes an answer takes, never the answer.</summary>
public sealed class SpeculationTests
{
    private static readonly int[] Prompt = [1, 2, 0, 1, 2, 0, 1];

    private readonly ServingMetrics _metrics = new();

    [Theory]
    [InlineData(0)]
    [InlineData(0.8)]
    public async Task Answer_OfANoisyModel_IsTheSame(double temperature)
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            var sampling = new SamplingSettings { Temperature = temperature, Seed = seed };
            int[] expected = await AnswerAsync(new NoiseModel(vocabularySize: 4, seed: seed), 0, sampling);
            for (var longest = 1; longest <= 8; longest *= 2)
                Assert.Equal(expected, await AnswerAsync(new NoiseModel(vocabularySize: 4, seed: seed), longest, sampling));
        }

        Assert.InRange(_metrics.AcceptedTokens.Value(), 1, _metrics.DraftTokens.Value() - 1);
    }

    [Fact]
    public async Task Answer_ThatRepeatsItself_TakesFewPasses()
    {
        int[] song = [.. Enumerable.Range(0, 60).Select(i => 1 + i % 6)];
        ParrotModel plain = new(song, end: 0, vocabularySize: 8), guessed = new(song, end: 0, vocabularySize: 8);
        int[] expected = await AnswerAsync(plain, 0, Greedy, song[..12], ends: [0]);
        Assert.Equal(expected, await AnswerAsync(guessed, 6, Greedy, song[..12], ends: [0]));
        Assert.True(guessed.DecodePasses + guessed.ScoringPasses < plain.DecodePasses / 3, $"{guessed.DecodePasses} + {guessed.ScoringPasses} passes against {plain.DecodePasses}.");
    }

    /// <summary>Only what is alone is guessed, so the last answer goes on when the others are over.</summary>
    [Fact]
    public async Task Answers_OfManyAtOnce_AreTheSame()
    {
        var requests = Enumerable.Range(0, 12).Select(i => (Prompt: Prompt.Append(i % 4).ToArray(), Sampling: new SamplingSettings { Temperature = 0.7, Seed = (ulong)i }, Ends: i == 11 ? [] : (int[])[3])).ToArray();
        using InferenceEngine plain = Engine(new NoiseModel(slots: 1, vocabularySize: 4), 0), guessing = Engine(new NoiseModel(slots: 3, vocabularySize: 4), 4);
        var together = await Task.WhenAll(requests.Select(r => SequenceFactory.AnswerAsync(guessing, r.Prompt, 100, r.Sampling, r.Ends)));
        for (var i = 0; i < requests.Length; i++)
            Assert.Equal((await SequenceFactory.AnswerAsync(plain, requests[i].Prompt, 100, requests[i].Sampling, requests[i].Ends)).Tokens, together[i].Tokens);
        Assert.True(_metrics.DraftTokens.Value() > 0, "Nothing was guessed.");
    }

    [Fact]
    public async Task Answer_WithAPenalty_IsNotGuessed()
    {
        await AnswerAsync(new NoiseModel(vocabularySize: 4), 4, new() { Temperature = 0, PresencePenalty = 1 });
        Assert.Equal(0, _metrics.DraftTokens.Value());
    }

    [Fact]
    public void Propose_EndSeenBefore_IsHowItWentOn()
    {
        Assert.Equal([3, 4, 1], new Draft(3).Propose([9, 1, 2, 3, 4, 1, 2], 9));
        Assert.Equal([3], new Draft(3).Propose([9, 1, 2, 3, 4, 1, 2], 1));
        Assert.Equal([7], new Draft(3).Propose([1, 2, 3, 1, 2, 7, 1, 2], 1));     // the last place, not the first
        Assert.Equal([], new Draft(3).Propose([1, 2, 3, 4, 2], 9));               // one token is no sign
        Assert.Equal([], new Draft(3).Propose([1, 2, 1, 2], 0));
    }

    [Fact]
    public void Propose_AfterWrongGuesses_GetsRarer()
    {
        var draft = new Draft(8);
        int[] tokens = [1, 2, 3, 4, 5, 6, 1, 2];
        var proposed = 0;
        for (var step = 0; step < 100; step++)
        {
            var guess = draft.Propose(tokens, 9);
            proposed += guess.Length;
            if (guess.Length > 0) draft.Learn(guess.Length, 0);
        }

        Assert.InRange(proposed, 8, 20);
        while (draft.Propose(tokens, 9) is { Length: 0 })
        {
            // until the pause is over
        }

        draft.Learn(1, 1);
        Assert.Equal(2, draft.Propose(tokens, 9).Length);
    }

    private async Task<int[]> AnswerAsync(ToyModel model, int speculation, SamplingSettings sampling, int[]? prompt = null, int[]? ends = null)
    {
        using var engine = Engine(model, speculation);
        return (await SequenceFactory.AnswerAsync(engine, prompt ?? Prompt, 60, sampling, ends)).Tokens;
    }

    private InferenceEngine Engine(ToyModel model, int speculation) =>
        new(model, new() { Speculation = speculation }, _metrics, TimeProvider.System, NullLogger.Instance);
}
