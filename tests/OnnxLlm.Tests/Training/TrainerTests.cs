using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tests.Support;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;

namespace OnnxLlm.Tests.Training;

/// <summary>The loop's answer to losses that are not finite, brought about by spoiling a weight between two steps.</summary>
public sealed class TrainerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("trainer-").FullName;
    private readonly OnnxTrainingEngine _engine = TinyTraining.Engine(rows: 4);

    private string Metrics => Path.Combine(_folder, "metrics.jsonl");

    public void Dispose()
    {
        _engine.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Step_WithALossThatIsNotFinite_IsSkippedAndTheRunGoesOn()
    {
        float[] before = [], after = [];
        var weight = 0f;
        var trainer = Create(report =>
        {
            if (report.Metrics.Step == 3)
            {
                weight = Spoil(float.NaN);
                before = Everything();
            }
            if (report.Metrics.Step != 4) return;
            after = Everything();
            Spoil(weight);
        });

        Assert.Equal(Outcome.Finished, trainer.Train(default));

        Assert.Equal(before, after);
        Assert.Equal((1, 19, 20), (trainer.State.Skipped, trainer.State.Updates, trainer.State.Step));
        Assert.All(Everything(), value => Assert.True(float.IsFinite(value)));
        var lines = MetricsLog.Lines(Metrics).Where(l => l.GetProperty("step").GetInt64() == 4).ToList();
        Assert.False(lines[0].TryGetProperty("loss", out _));
        Assert.Matches(@"^the loss of the sequences from 24 \(batch [0-9a-f]{16}\) is not finite; nothing was updated$", lines.Single(l => l.TryGetProperty("event", out var kind) && kind.GetString() == "skipped").GetProperty("message").GetString());
    }

    [Fact]
    public void Steps_SkippedInARow_StopTheRun()
    {
        float[] before = [];
        var trainer = Create(report =>
        {
            if (report.Metrics.Step != 3) return;
            Spoil(float.PositiveInfinity);
            before = Everything();
        });

        Assert.Equal(Outcome.Diverged, trainer.Train(default));

        Assert.Equal((5, 3, 8), (trainer.State.Skipped, trainer.State.Updates, trainer.State.Step));
        Assert.Equal(before, Everything());
    }

    [Fact]
    public void Gpu_ThatCountsItsEnergy_IsAddedUpInTheLogAndTheCheckpoint()
    {
        var joules = 1000.0;
        var trainer = Create(_ => { }, () => new(null, null, 250, joules += 7200), ["tracking.co2_grams_per_kwh=400"]);

        Assert.Equal(Outcome.Finished, trainer.Train(default));

        var last = MetricsLog.Steps(Metrics).Last();
        Assert.Equal((250, 20 * 7200 / 3.6e6, 20 * 7200 / 3.6e6 * 400), (last.GpuWatts, last.EnergyKwh, last.Co2Grams));
        Assert.Equal(20 * 7200, trainer.State.EnergyJoules);
    }

    [Fact]
    public void WithoutAGpu_NoEnergyIsLogged()
    {
        Assert.Equal(Outcome.Finished, Create(_ => { }, null, ["tracking.co2_grams_per_kwh=400"]).Train(default));
        Assert.All(MetricsLog.Steps(Metrics), step => Assert.Equal((null, null), (step.EnergyKwh, step.Co2Grams)));
    }

    private Trainer Create(Action<StepReport> onStep, Func<GpuUse>? gpu = null, params string[] settings)
    {
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", "tiny.json"), ["steps=20", .. settings]);
        var windows = TinyTraining.Windows(TinyTraining.Tokens(3000));
        var parts = new TrainerParts(
            _engine,
            new TokenDataset(windows, new EpochOrder(windows.Count, 1), config.GlobalBatch, config.MicroBatch),
            new ValidationSet(windows, config.MicroBatch, config.EvaluateTokens),
            new CheckpointStore(Path.Combine(_folder, "checkpoints"), 1),
            MetricsLog.Open(Metrics, 0),
            new TestView(onStep),
            TimeProvider.System)
        { Gpu = gpu };
        return new Trainer(config, parts, new TrainingState { ConfigHash = "" });
    }

    /// <summary>Overwrites one weight of the last norm, which every loss depends on; returns what it was.</summary>
    private float Spoil(float value)
    {
        var weights = _engine.Tensors["model.norm.weight"].Span<float>();
        (var was, weights[0]) = (weights[0], value);
        return was;
    }

    private float[] Everything() =>
        [.. TinyTraining.Flat(_engine, p => p.Name), .. TinyTraining.Flat(_engine, p => p.FirstMoment), .. TinyTraining.Flat(_engine, p => p.SecondMoment)];
}
