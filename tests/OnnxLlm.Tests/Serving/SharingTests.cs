using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Support;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

/// <summary>What sequences share, and what they lose to more urgent ones, must not show in their answers.</summary>
public sealed class SharingTests
{
    private readonly ServingMetrics _metrics = new();

    [Fact]
    public async Task Prompt_TheSecondTime_IsNotReadAgain()
    {
        var model = new NoiseModel();
        using var engine = Engine(model, new() { ShortestPrefix = 4 });
        int[] prompt = [.. Enumerable.Range(1, 40)];
        var (first, _) = await AnswerAsync(engine, prompt, 10);
        var read = model.PrefilledTokens;
        var (second, _) = await AnswerAsync(engine, prompt, 10);
        Assert.Equal(1, model.PrefilledTokens - read);
        Assert.Equal(first, second);
        Assert.Equal(39, _metrics.PrefixHits.Value());
        Assert.Equal(49, engine.PrefixCacheBytes);          // the toy's position has one byte, and the last token was never read
    }

    [Fact]
    public async Task Choices_OfOnePrompt_ReadItOnce()
    {
        var model = new NoiseModel(slots: 4);
        using var engine = Engine(model, new() { ShortestPrefix = 4, PrefixCacheBytes = 0 });
        int[] prompt = [.. Enumerable.Range(1, 40)];
        var output = Channel.CreateUnbounded<SequenceEvent>();
        Sequence[] choices = [.. Enumerable.Range(0, 4).Select(choice => Create(prompt, 20, new() { Seed = 7 }, choice: choice, output: output))];
        engine.Submit(choices);
        for (var ended = 0; ended < 4;)
            if (await output.Reader.ReadAsync().AsTask().WaitAsync(Patience) is SequenceFinished) ended++;
        Assert.Equal(40 + 3, model.PrefilledTokens);
    }

    [Fact]
    public async Task Prompt_WithAnotherSalt_IsReadAgain()
    {
        var model = new NoiseModel();
        using var engine = Engine(model, new() { ShortestPrefix = 4 });
        foreach (var salt in new[] { "a", "b" })
        {
            var output = Channel.CreateUnbounded<SequenceEvent>();
            engine.Submit([new Sequence { Prompt = [.. Enumerable.Range(1, 20)], MaxTokens = 3, Salt = salt, Output = output }]);
            await CollectAsync(output.Reader);
        }

        Assert.Equal(40, model.PrefilledTokens);
    }

    [Fact]
    public async Task Fault_OfAStep_ForgetsWhatWasKept()
    {
        var model = new NoiseModel();
        using var engine = Engine(model, new() { ShortestPrefix = 4 });
        int[] prompt = [.. Enumerable.Range(1, 20)];
        await AnswerAsync(engine, prompt, 3);
        model.BeforePass = () => { model.BeforePass = null; throw new InvalidOperationException("once"); };
        await Assert.ThrowsAsync<InvalidOperationException>(() => AnswerAsync(engine, prompt, 3));
        await AnswerAsync(engine, prompt, 3);
        Assert.Equal(20 + 20, model.PrefilledTokens);
    }

    [Fact]
    public async Task Sequence_LosingItsSlotToAMoreUrgentOne_AnswersAsAlone()
    {
        const int held = 3 + 5;                 // when it is interrupted, but for the last token
        using var steps = new SemaphoreSlim(0);
        var model = new NoiseModel(slots: 1) { BeforePass = () => steps.Wait(Patience) };
        using var engine = Engine(model, new() { PrefixCacheBytes = held, ShortestPrefix = 100 });
        Channel<SequenceEvent> slow = Channel.CreateUnbounded<SequenceEvent>(), urgent = Channel.CreateUnbounded<SequenceEvent>();
        engine.Submit([Create([3, 4, 5], 30, new() { Seed = 2 }, output: slow)]);
        steps.Release(5);
        for (var i = 0; i < 5; i++) await slow.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        engine.Submit([new Sequence { Prompt = [6], MaxTokens = 4, Priority = 1, Output = urgent }]);
        steps.Release(1 + 4);
        Assert.Equal(4, (await CollectAsync(urgent.Reader)).Tokens.Length);
        steps.Release(1000);
        var rest = (await CollectAsync(slow.Reader)).Tokens;
        Assert.Equal(1, _metrics.Preemptions.Value());
        Assert.Empty(model.Entries);
        Assert.Equal(0, engine.PrefixCacheBytes);

        using var alone = Engine(new NoiseModel(slots: 1));
        Assert.Equal((await AnswerAsync(alone, [3, 4, 5], 30, new() { Seed = 2 })).Tokens[5..], rest);
    }

    private InferenceEngine Engine(IModelRunner model, EngineSettings? settings = null) =>
        new(model, settings ?? new(), _metrics, TimeProvider.System, NullLogger.Instance);
}
