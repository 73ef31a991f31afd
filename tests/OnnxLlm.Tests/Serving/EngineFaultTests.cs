using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Support;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

/// <summary>Passes that fail, answers that are no numbers, and what the engine then says of its health.</summary>
public sealed class EngineFaultTests
{
    private readonly ServingMetrics _metrics = new();

    [Fact]
    public async Task Fault_OfAStep_FailsThoseInSlotsAndTheEngineGoesOn()
    {
        var model = new NoiseModel();
        using var engine = Engine(model);
        model.BeforePass = () => throw new InvalidOperationException("injected");
        await Assert.ThrowsAsync<InvalidOperationException>(() => AnswerAsync(engine, [1], 4));
        Assert.False(engine.Health.IsHealthy);
        Assert.True(engine.Health.IsAlive);

        model.BeforePass = null;
        Assert.Equal(4, (await AnswerAsync(engine, [1], 4)).Tokens.Length);
        Assert.True(engine.Health.IsHealthy);
    }

    /// <summary>After a fault what is kept is dropped. That is no pass of the model, so it says nothing of its health.</summary>
    [Fact]
    public async Task Fault_WithSomethingKept_LeavesTheEngineUnhealthyOnceThatIsDropped()
    {
        var model = new NoiseModel();
        using var engine = Engine(model, new() { ShortestPrefix = 2 });
        await AnswerAsync(engine, [1, 2, 3], 4);
        model.BeforePass = () => throw new InvalidOperationException("injected");
        var dropped = new TaskCompletionSource();
        model.AfterTransfer = kind => _ = kind == TransferKind.Drop && dropped.TrySetResult();
        await Assert.ThrowsAsync<InvalidOperationException>(() => AnswerAsync(engine, [9], 4));
        await dropped.Task.WaitAsync(Patience);
        Assert.False(SpinWait.SpinUntil(() => engine.Health.IsHealthy, TimeSpan.FromMilliseconds(100)));
    }

    [Fact]
    public async Task Fault_ThreeTimesInARow_EndsTheEngine()
    {
        using var engine = Engine(new NoiseModel { BeforePass = () => throw new InvalidOperationException("injected") });
        for (var i = 0; i < 3; i++) await Assert.ThrowsAsync<InvalidOperationException>(() => AnswerAsync(engine, [1], 4));
        Assert.True(engine.Health.IsDead);
        Assert.False(engine.Health.IsAlive);
        Assert.Equal(Admission.EngineDead, engine.Submit([Create([1], 1)]));
    }

    [Fact]
    public async Task Scores_OfOneSequenceNotNumbers_FailThatOneOnly()
    {
        using var engine = Engine(new BrittleModel());
        var healthy = AnswerAsync(engine, [1], 100);
        for (var i = 0; i < 5; i++) await Assert.ThrowsAsync<InvalidOperationException>(() => AnswerAsync(engine, [2, BrittleModel.Poison], 9));
        var (tokens, _) = await healthy;
        Assert.Equal(100, tokens.Length);
        Assert.True(engine.Health.IsHealthy);
    }

    [Fact]
    public async Task Probe_AnsweredWithoutNumbers_IsAFault()
    {
        using var engine = Engine(new FixedModel([float.NaN, 1]));
        Assert.False(await new EngineProbe(engine.Health, engine.Submit, TimeProvider.System).IsReadyAsync());
        Assert.Contains("finite", engine.Health.LastFault!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Probe_WhenThePassIsOld_AsksTheModelOnce()
    {
        var time = new ManualTime();
        var model = new NoiseModel();
        using var engine = Engine(model, time: time);
        var probe = new EngineProbe(engine.Health, engine.Submit, time);
        Assert.True(await probe.IsReadyAsync());
        Assert.True(await probe.IsReadyAsync());
        Assert.Equal(1, model.PrefillPasses);

        time.Advance(TimeSpan.FromSeconds(31));
        model.BeforePass = () => throw new InvalidOperationException("injected");
        Assert.False(await probe.IsReadyAsync());
        Assert.True(engine.Health.IsAlive);
        Assert.Equal(0, _metrics.GenerationTokens.Value());
    }

    /// <summary>Loses its mind over one token.</summary>
    private sealed class BrittleModel() : ToyModel(4, 256, 10)
    {
        public const int Poison = 9;

        protected override void Score(ReadOnlySpan<int> history, Span<float> logits) => logits.Fill(history.Contains(Poison) ? float.NaN : 1);
    }

    private InferenceEngine Engine(ToyModel model, EngineSettings? settings = null, TimeProvider? time = null) =>
        new(model, settings ?? new(), _metrics, time ?? TimeProvider.System, NullLogger.Instance);
}
