using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Support;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

public sealed class InferenceEngineTests
{
    private readonly ServingMetrics _metrics = new();

    [Theory]
    [InlineData(1, 1, false)]
    [InlineData(3, 2, false)]
    [InlineData(8, 5, false)]
    [InlineData(4, 3, true)]
    public async Task Answers_ManyAtOnce_EqualSoloAnswers(int slots, int chunk, bool readsWhileDecoding)
    {
        var requests = Enumerable.Range(0, 40).Select(Request).ToArray();
        var expected = requests.Select(request => Alone(request.Prompt, request.MaxTokens, request.Sampling)).ToArray();

        var model = new NoiseModel(slots) { ReadsWhileDecoding = readsWhileDecoding };
        using var engine = Engine(model, new() { PrefillChunk = chunk });
        var answers = await Task.WhenAll(requests.Select(r => AnswerAsync(engine, r.Prompt, r.MaxTokens, r.Sampling, [0])));
        Assert.Equal(expected, answers.Select(answer => answer.Tokens));
        Assert.Equal(readsWhileDecoding, model.JointPasses > 20);
    }

    [Fact]
    public async Task Decode_OfConcurrentSequences_SharesForwardPasses()
    {
        var model = new NoiseModel(slots: 8);
        using var engine = Engine(model);
        await Task.WhenAll(Enumerable.Range(0, 32).Select(i => AnswerAsync(engine, [i + 1], 40)));
        Assert.Equal(8, model.LargestBatch);
        Assert.True(model.DecodePasses < 32 * 39 / 4, $"{model.DecodePasses} passes for {32 * 39} tokens.");
    }

    [Fact]
    public async Task ShortRequest_SentDuringALongOne_FinishesFirst()
    {
        using var engine = Engine(new NoiseModel(slots: 2, maxLength: 4096));
        var output = Channel.CreateUnbounded<SequenceEvent>();
        engine.Submit([Create([1], 4000, output: output)]);
        await output.Reader.ReadAsync();
        await AnswerAsync(engine, [2], 3);
        Assert.Equal(1, engine.Running);
        Assert.DoesNotContain(Arrived(output), e => e is SequenceFinished);
    }

    [Fact]
    public async Task Cancel_OfARunningSequence_FreesItsSlotWithinAStep()
    {
        using var steps = new SemaphoreSlim(0);
        using var cancel = new CancellationTokenSource();
        var model = new NoiseModel(slots: 1) { BeforePass = () => steps.Wait(Patience) };
        using var engine = Engine(model);
        var output = Channel.CreateUnbounded<SequenceEvent>();
        engine.Submit([Create([1], 200, output: output, cancelled: cancel.Token)]);
        steps.Release(3);
        for (var i = 0; i < 3; i++) await output.Reader.ReadAsync();

        cancel.Cancel();
        steps.Release(1 + 2);                   // at most the step that had already begun, then the other's two
        var (tokens, _) = await AnswerAsync(engine, [2], 2);
        Assert.Equal(2, tokens.Length);
        Assert.InRange(Arrived(output).Count, 0, 1);
        steps.Release(100);
    }

    [Fact]
    public async Task Tokens_WithinThePace_LeaveTogetherAndTheFirstAtOnce()
    {
        using var engine = Engine(new NoiseModel(), new() { DeliveryPace = TimeSpan.FromHours(1) });
        var output = Channel.CreateUnbounded<SequenceEvent>();
        engine.Submit([Create([1], 5, output: output)]);
        var events = new List<SequenceEvent>();
        while (events.LastOrDefault() is not SequenceFinished) events.Add(await output.Reader.ReadAsync().AsTask().WaitAsync(Patience));
        Assert.Single(Assert.IsType<TokensGenerated>(events[0]).Tokens);
        Assert.Equal(4, Assert.IsType<TokensGenerated>(events[1]).Tokens.Length);
        Assert.Equal(3, events.Count);
    }

    [Fact]
    public void Submit_BeyondTheQueue_IsRefusedAsAWhole()
    {
        using var steps = new SemaphoreSlim(0);
        var model = new NoiseModel(slots: 1) { BeforePass = () => steps.Wait(Patience) };
        using var engine = Engine(model, new() { QueueLimit = 3 });
        engine.Submit([Create([1], 1)]);
        SpinWait.SpinUntil(() => engine.Running == 1, Patience);

        Assert.Equal(Admission.Accepted, engine.Submit([Create([1], 1), Create([1], 1)]));
        Assert.Equal(Admission.QueueFull, engine.Submit([Create([1], 1), Create([1], 1)]));
        Assert.Equal(Admission.Accepted, engine.Submit([Create([1], 1)]));
        Assert.Equal(3, engine.Waiting);
        steps.Release(100);
    }

    /// <summary>The next request need not wait for it.</summary>
    [Fact]
    public async Task Prefix_OfAnAnswer_IsKeptBeforeAnybodyAsksAgain()
    {
        var model = new NoiseModel();
        var kept = new TaskCompletionSource();
        model.AfterTransfer = _ => kept.TrySetResult();
        using var engine = Engine(model, new() { ShortestPrefix = 2 });
        await AnswerAsync(engine, [1, 2, 3], 4);
        await kept.Task.WaitAsync(Patience);
    }

    /// <summary>On a GPU scores then stay where they are.</summary>
    [Fact]
    public async Task Scores_AreAskedForOnlyWhereSomethingElseIsWanted()
    {
        var model = new FixedModel([1, 5, 3]);
        using var engine = Engine(model);
        var (best, _) = await AnswerAsync(engine, [2], 4);
        Assert.Equal([1, 1, 1, 1], best);
        Assert.Equal((3, 3), (model.BestPasses, model.DecodePasses));
        await AnswerAsync(engine, [2], 4, new() { Temperature = 1 });
        var (biased, _) = await AnswerAsync(engine, [2], 4, Greedy with { LogitBias = [new(2, 4)] });
        Assert.Equal([2, 2, 2, 2], biased);
        Assert.Equal((3, 9), (model.BestPasses, model.DecodePasses));
    }

    /// <summary>The model scores more tokens than the tokenizer has, and likes one of those best.</summary>
    [Fact]
    public async Task Best_BeyondTheTokenizer_IsNotChosen()
    {
        var model = new FixedModel([1, 5, 9]);
        using var engine = Engine(model, new() { Vocabulary = 2 });
        var (tokens, _) = await AnswerAsync(engine, [0], 3);
        Assert.Equal([1, 1, 1], tokens);
        Assert.Equal(2, model.BestPasses);
    }

    [Fact]
    public async Task Answer_ToAnEndToken_StopsWithoutIt()
    {
        using var engine = Engine(new ParrotModel([1, 2, 3, 4], end: 0, vocabularySize: 5));
        var (tokens, finish) = await AnswerAsync(engine, [1, 2], 10, ends: [0]);
        Assert.Equal([3, 4], tokens);
        Assert.Equal(FinishReason.Stop, finish);
    }

    [Fact]
    public async Task Vocabulary_Padded_IsNeverChosenFrom()
    {
        using var engine = Engine(new FixedModel([1, 2, 9, 9]), new() { Vocabulary = 2 });
        var (tokens, _) = await AnswerAsync(engine, [0], 2);
        Assert.Equal([1, 1], tokens);
    }

    [Theory]
    [InlineData(true, 128)]
    [InlineData(true, 2)]
    [InlineData(false, 128)]
    public async Task ScoredPrompt_HasAScoreForEveryTokenButTheFirst(bool givesAll, int chunk)
    {
        using var engine = Engine(new FixedModel([0, MathF.Log(3)]) { GivesAll = givesAll }, new() { PrefillChunk = chunk });
        var output = Channel.CreateUnbounded<SequenceEvent>();
        engine.Submit([new Sequence { Prompt = [0, 1, 0], MaxTokens = 0, ScoresPrompt = true, Alternatives = 1, Output = output }]);
        var events = new List<SequenceEvent>();
        while (events is not [.., SequenceFinished])
        {
            await output.Reader.WaitToReadAsync().AsTask().WaitAsync(Patience);
            events.AddRange(Arrived(output));
        }

        var scores = events.OfType<TokensGenerated>().SelectMany(e => e.Tokens).Select(token => token.Score?.LogProb).ToArray();
        Assert.Equal(3, scores.Length);
        Assert.Null(scores[0]);
        Assert.Equal(Math.Log(0.75), scores[1]!.Value, 1e-6);
        Assert.Equal(Math.Log(0.25), scores[2]!.Value, 1e-6);
    }

    [Fact]
    public async Task Metrics_AfterARun_CountItsTokens()
    {
        using var engine = Engine(new NoiseModel());
        await AnswerAsync(engine, [1, 2, 3], 5);
        await AnswerAsync(engine, [1, 2], 4);
        Assert.Equal((5, 9), (_metrics.PromptTokens.Value(), _metrics.GenerationTokens.Value()));
        Assert.Equal((2, 7), (_metrics.TimeToFirstToken.Count, _metrics.InterTokenLatency.Count));
        Assert.Equal(9, _metrics.RequestGenerationTokens.Sum);
    }

    [Fact]
    public async Task Dispose_WithWorkInHand_EndsTheSequences()
    {
        var engine = Engine(new NoiseModel(slots: 1, maxLength: 4096));
        var answers = Enumerable.Range(0, 3).Select(i => AnswerAsync(engine, [i], 4000)).ToArray();
        engine.Dispose();
        foreach (var answer in answers) await Assert.ThrowsAsync<InvalidOperationException>(() => answer);
    }

    private InferenceEngine Engine(ToyModel model, EngineSettings? settings = null) =>
        new(model, settings ?? new(), _metrics, TimeProvider.System, NullLogger.Instance);

    private static (int[] Prompt, int MaxTokens, SamplingSettings Sampling) Request(int i)
    {
        var random = new Random(i);
        int[] prompt = [.. Enumerable.Range(0, 1 + random.Next(20)).Select(_ => random.Next(50))];
        var sampling = i % 3 == 0 ? Greedy : new() { Temperature = 0.9, TopP = i % 3 == 1 ? 0.9 : 1, PresencePenalty = i % 2, Seed = (ulong)i };
        return (prompt, 1 + random.Next(60), sampling);
    }

    /// <summary>The answer by definition: one sequence, no engine, no slots but one.</summary>
    private static int[] Alone(int[] prompt, int maxTokens, SamplingSettings sampling)
    {
        using var model = new NoiseModel(slots: 1);
        var sampler = new Sampler(model.VocabularySize);
        var sequence = Create(prompt, maxTokens, sampling, [0]);
        var tokens = new List<int>();
        var logits = model.Prefill(0, prompt, 0);
        while (true)
        {
            sequence.Append(sampler.Choose(logits, sequence));
            if (sequence.Finish != FinishReason.Stop) tokens.Add(sequence.LastToken);
            if (sequence.Finish is not null) return [.. tokens];
            int[] token = [sequence.LastToken], past = [prompt.Length + tokens.Count - 1];
            logits = model.Decode(token, past);
        }
    }

    private static List<SequenceEvent> Arrived(Channel<SequenceEvent> output)
    {
        var events = new List<SequenceEvent>();
        while (output.Reader.TryRead(out var e)) events.AddRange(e is TokensGenerated together ? together.Tokens.Select(token => together with { Tokens = [token] }) : [e]);
        return events;
    }
}
