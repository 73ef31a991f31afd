using OnnxLlm.Tests.Support;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Stability;

namespace OnnxLlm.Tests.Training;

/// <summary>Injected faults in the data of step 44: the run goes on, finite, and says so; interrupted and resumed it does the same.</summary>
public sealed class StabilityTests : IDisposable
{
    private const int Batch = 8;

    /// <summary>The first sequence of the step that goes wrong; checkpoints lie at 25 and 50.</summary>
    private const long Bad = 43 * Batch;

    private readonly string _folder = Directory.CreateTempSubdirectory("stability-").FullName;
    private readonly CancellationTokenSource _stop = new();
    private readonly TokenDataset _data;
    private readonly TokenWindows _windows = TinyTraining.Windows(TinyTraining.Tokens(6400));

    public StabilityTests() => _data = new TokenDataset(_windows, new EpochOrder(_windows.Count, 1), Batch, 4);

    public void Dispose()
    {
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void NaNBatch_IsSkippedOnceAndNamed()
    {
        var run = Train(Spoilt(loss => float.NaN));

        Assert.Equal((Outcome.Finished, 1, 99), (run.Outcome, run.State.Skipped, run.State.Updates));
        Assert.Equal($"the loss of the sequences from {Bad} (batch {_data.Batch(Bad).Hash()}) is not finite; nothing was updated", Assert.Single(Events("skipped")));
        Assert.Equal("not finite: the loss is not finite", Assert.Single(Events("health"), alert => !alert.StartsWith("processor", StringComparison.Ordinal)));
        Assert.All(run.Weights, w => Assert.True(float.IsFinite(w)));
    }

    [Fact]
    public void Spike_ToWarnOf_IsLoggedAndTrainedOn()
    {
        var run = Train(Spoilt(loss => loss * 40));

        Assert.Equal((0, 100), (run.State.Skipped, run.State.Updates));
        Assert.EndsWith($"on the sequences from {Bad} (batch {_data.Batch(Bad).Hash()}); the update was made", Assert.Single(Events("spike")), StringComparison.Ordinal);
    }

    [Fact]
    public void Spike_ToSkip_LeavesTheUpdateOut()
    {
        var run = Train(Spoilt(loss => loss * 40), "stability.on_spike=skip");

        Assert.Equal((1, 99, 100), (run.State.Skipped, run.State.Updates, run.State.Step));
        Assert.EndsWith("; nothing was updated", Assert.Single(Events("spike")), StringComparison.Ordinal);
        Assert.DoesNotContain(Events("health"), alert => alert.StartsWith("not finite", StringComparison.Ordinal));
    }

    /// <summary>The schedule is constant after its five steps of warm-up, so the logged rates are 0.01 up to the spike and half of that after it, also after a resume.</summary>
    [Fact]
    public void Spike_ToLowerRatesAfter_LeavesTheUpdateOutAndHalvesThem()
    {
        string[] settings = ["stability.on_spike=lower", "schedule.type=constant"];
        Train(Spoilt(loss => loss * 40), onStep: step => { if (step == 60) _stop.Cancel(); }, settings: settings);
        var run = Train(Spoilt(loss => loss * 40), resume: true, settings: settings);

        Assert.Equal((1, 99, 0.5), (run.State.Skipped, run.State.Updates, run.State.LearningRateShare));
        Assert.EndsWith("; nothing was updated, and learning rates are 0.5 of the schedule's from here on", Assert.Single(Events("spike")), StringComparison.Ordinal);
        Assert.Equal([.. Enumerable.Repeat(0.01, 39), .. Enumerable.Repeat(0.005, 56)], MetricsLog.Steps(Metrics).Select(s => s.LearningRate).Skip(5));
    }

    [Fact]
    public void Spike_ToRollBackFrom_RestoresTheCheckpointAndSkipsTheData()
    {
        var seen = new List<long>();
        var run = Train(Spoilt(loss => loss * 40), onStep: step => seen.Add(step), settings: "stability.on_spike=rollback");

        Assert.Equal((Outcome.Finished, 1, 100, 100), (run.Outcome, run.State.Rollbacks, run.State.Step, run.State.Updates));
        Assert.Equal(Enumerable.Range(1, 43).Concat(Enumerable.Range(26, 75)).Select(i => (long)i), seen);
        Assert.Equal((100 + 44 - 25) * Batch, run.State.Position);
        Assert.Matches($@"^in step 44, the loss jumped to .*; back at step 25, without the sequences up to {Bad + Batch} \(last batch [0-9a-f]{{16}}\)$", Assert.Single(Events("rollback")));
    }

    [Theory]
    [InlineData(40)]
    [InlineData(30)]
    public void Rollback_WithAnInterruption_EndsBitForBitTheSame(int stopAt)
    {
        var straight = Train(Spoilt(loss => loss * 40), settings: "stability.on_spike=rollback");
        Directory.Delete(Checkpoints, recursive: true);
        var seen = 0;

        // Stopped before the spike (step 40), or in the steps repeated after it (the second time at 30).
        Train(Spoilt(loss => loss * 40), onStep: step => { if (step == stopAt && ++seen == (stopAt == 30 ? 2 : 1)) _stop.Cancel(); }, settings: "stability.on_spike=rollback");
        var resumed = Train(Spoilt(loss => loss * 40), resume: true, settings: "stability.on_spike=rollback");

        Assert.Equal(straight.Weights, resumed.Weights);
        Assert.Equal((straight.State.Position, straight.State.Rollbacks), (resumed.State.Position, resumed.State.Rollbacks));
    }

    [Fact]
    public void Spikes_WithoutAnEnd_AreSkippedAfterTheLastRollbackAndStopTheRun()
    {
        var position = Enumerable.Range(43, 300).Select(i => _data.MicroBatch(i * Batch).InputIds).ToHashSet(new SameIds());
        var run = Train(new FaultyEngine(TinyTraining.Engine(4)) { Loss = (batch, loss) => position.Contains(batch.InputIds) ? loss * 40 : loss }, settings: ["stability.on_spike=rollback", "stability.max_rollbacks=2"]);

        Assert.Equal((Outcome.Diverged, 2, 5), (run.Outcome, run.State.Rollbacks, run.State.SkippedInRow));
        Assert.Equal(2, Events("rollback").Count);
    }

    [Fact]
    public void ValidationLoss_OnAPlateau_StopsAtTheExactStep()
    {
        var losses = new Queue<float>([3, 2, 1.95f, 1.92f, 1.91f, 1.5f, 1, 1]);
        float last = 0;
        var engine = new FaultyEngine(TinyTraining.Engine(4)) { Validation = () => last };
        // Validations at 10, 20, …: 1.95, 1.92 and 1.91 are not better than 2 by more than 0.1.
        var run = Train(engine, onStep: step => last = step % 10 == 0 ? losses.Dequeue() : last, settings: ["evaluate_every=10", "stability.patience=3", "stability.min_delta=0.1"]);

        Assert.Equal((Outcome.Finished, 50, 50), (run.Outcome, run.State.Step, run.State.PlannedSteps));
        Assert.Equal("no better validation loss than 2.0000 in 3 validations", Assert.Single(Events("stopped early")));
    }

    [Fact]
    public void Statistics_OnSampledSteps_EqualTheGlobalNormAndAPlainLoop()
    {
        var shape = new OnnxLlm.Graphs.Training.TrainingShape(4, TinyTraining.Time);
        using var engine = new OnnxTrainingEngine(
            OnnxLlm.Graphs.Training.TrainingGraphs.Create(TinyTraining.Model, shape, new()), shape, new() { Threads = 1 },
            new AuxiliaryGraphs(OnnxLlm.Graphs.Training.ActivationGraph.Create(TinyTraining.Model, shape), null));
        engine.Tensors.Initialize(new OnnxLlm.Graphs.Models.Initializer(TinyTraining.Model, 1));
        var batch = _data.MicroBatch(0);
        engine.Accumulate(batch, reset: true, 1f / batch.ValidTokens);
        var norm = engine.Update(1e-3, 1);
        var layers = engine.Layers(batch);

        Assert.Equal(["embeddings", "block 0", "block 1", "head"], layers.Select(l => l.Layer));
        Assert.Equal(norm, Math.Sqrt(layers.Sum(l => l.GradientNorm!.Value * l.GradientNorm.Value)), 5);
        Assert.Equal(TinyTraining.Norm(engine.Tensors["model.norm.weight"].Span<float>().ToArray()), layers[3].WeightNorm!.Value, 6);
        Assert.All(layers[1..3], l => Assert.True(l.ActivationDeviation > 0 && l.ActivationMax > Math.Abs(l.ActivationMean!.Value)));
        Assert.Null(layers[0].ActivationMean);
    }

    [Fact]
    public void Statistics_AreInTheLog_EverySoManySteps()
    {
        Train(new FaultyEngine(TinyTraining.Engine(4)), settings: "stability.statistics_every=30");

        Assert.Equal([30L, 60, 90], MetricsLog.Lines(Metrics).Where(l => l.TryGetProperty("layers", out _)).Select(l => l.GetProperty("step").GetInt64()));
    }

    [Fact]
    public void Spike_AmongFewLosses_IsNone() => Assert.Null(LossSpike.Of(100, [1, 2, 3], 3));

    [Fact]
    public void Spike_IsCountedInDeviations()
    {
        var recent = Enumerable.Range(0, 40).Select(i => i % 2 == 0 ? 2.9 : 3.1).ToArray();      // mean 3, deviation 0.1

        Assert.Null(LossSpike.Of(3.39, [.. recent], 4));
        Assert.Equal(4.1, LossSpike.Of(3.41, [.. recent], 4)!.Sigmas, 9);
        Assert.Null(LossSpike.Of(2, [.. recent], 4));
        Assert.Null(LossSpike.Of(9, [.. recent], 0));
    }

    private string Metrics => Path.Combine(_folder, "metrics.jsonl");

    private string Checkpoints => Path.Combine(_folder, "checkpoints");

    private FaultyEngine Spoilt(Func<float, float> spoil)
    {
        var bad = _data.MicroBatch(Bad).InputIds;
        return new FaultyEngine(TinyTraining.Engine(4)) { Loss = (batch, loss) => batch.InputIds.AsSpan().SequenceEqual(bad) ? spoil(loss) : loss };
    }

    private List<string> Events(string kind) =>
        [.. MetricsLog.Lines(Metrics).Where(l => l.TryGetProperty("event", out var e) && e.GetString() == kind).Select(l => l.GetProperty("message").GetString()!)];

    private (Outcome Outcome, TrainingState State, float[] Weights) Train(FaultyEngine engine, params string[] settings) => Train(engine, null, false, settings);

    private (Outcome Outcome, TrainingState State, float[] Weights) Train(
        FaultyEngine engine, Action<long>? onStep = null, bool resume = false, params string[] settings)
    {
        using var owned = engine;
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", "tiny.json"), ["steps=100", .. settings]);
        var store = new CheckpointStore(Checkpoints, 1) { Every = 25 };
        var checkpoint = resume ? store.Latest(_ => { }) : null;
        if (checkpoint is not null) engine.Load(checkpoint.Path);
        var state = checkpoint?.State ?? new TrainingState { ConfigHash = "" };
        using var metrics = MetricsLog.Open(Metrics, state.Step);
        var parts = new TrainerParts(
            engine, _data, new ValidationSet(_windows, 4, 256), store, metrics, new TestView(report => onStep?.Invoke(report.Metrics.Step)), TimeProvider.System);
        var trainer = new Trainer(config, parts, state);
        var outcome = trainer.Train(resume ? default : _stop.Token);
        var model = Path.Combine(_folder, "model");
        Directory.CreateDirectory(model);
        engine.Save(model);
        using var file = OnnxLlm.Runtime.Safetensors.Open(Path.Combine(model, "model.safetensors"));
        return (outcome, trainer.State, [.. file.Entries.SelectMany(e => file.Span<float>(e.Name).ToArray())]);
    }

    private sealed class SameIds : IEqualityComparer<long[]>
    {
        public bool Equals(long[]? x, long[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(long[] ids) => ids.Aggregate(17, HashCode.Combine);
    }
}
