using OnnxLlm.Tests.Support;
using OnnxLlm.Text;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;
using OnnxLlm.Training.Runs;
using TrainingRun = OnnxLlm.Training.Runs.TrainingRun;

namespace OnnxLlm.Tests.Training;

/// <summary>Runs of a tiny model, on real shards, checkpoints and ONNX Runtime, in a folder that goes with the test.</summary>
public abstract class TinyRuns : IDisposable
{
    private protected TinyRuns() => TinyTraining.WriteShards(Data);

    private protected string Folder { get; } = Directory.CreateTempSubdirectory("training-").FullName;

    /// <summary>The config that runs begin from.</summary>
    private protected virtual string ConfigName => "tiny.json";

    private protected string Data => Path.Combine(Folder, "data");

    public void Dispose()
    {
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    private protected Outcome Start(string run, params string[] overrides) => Start(run, TimeProvider.System, _ => { }, overrides);

    private protected Outcome Start(string run, int stopAt, params string[] overrides)
    {
        using var stop = new CancellationTokenSource();
        return Start(run, TimeProvider.System, report => { if (report.Metrics.Step == stopAt) stop.Cancel(); }, stop.Token, overrides);
    }

    private protected Outcome Start(string run, TimeProvider clock, Action<StepReport> onStep, params string[] overrides) => Start(run, clock, onStep, default, overrides);

    private protected Outcome Start(string run, TimeProvider clock, Action<StepReport> onStep, CancellationToken stop, params string[] overrides)
    {
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", ConfigName), [$"data={Data}", "threads=1", .. overrides]);
        var training = new TrainingRun(RunFolder.Create(Path.Combine(Folder, run)), new RunOptions { Command = "train" }, new TestView(onStep), clock);
        return training.Start(config, stop);
    }

    private protected Outcome Resume(string run, bool allowInexact = false, List<string>? notes = null)
    {
        var view = new TestView(_ => { });
        var outcome = new TrainingRun(RunFolder.Open(Path.Combine(Folder, run)), new RunOptions { Command = "resume", AllowInexact = allowInexact }, view, TimeProvider.System).Resume(default);
        notes?.AddRange(view.Notes);
        return outcome;
    }

    private protected Checkpoint Latest(string run) => new CheckpointStore(Path.Combine(Folder, run, "checkpoints"), 2).Latest(_ => { })!;

    private protected List<double> Losses(string run) =>
        [.. MetricsLog.Lines(Path.Combine(Folder, run, "metrics.jsonl")).Where(l => l.TryGetProperty("learning_rate", out _)).Select(l => l.GetProperty("loss").GetDouble())];

    /// <summary>A run that was interrupted ends as one that was not, to the last bit.</summary>
    private protected void AssertResumesExactly(params string[] overrides)
    {
        Assert.Equal(Outcome.Finished, Start("straight", overrides));
        Assert.Equal(Outcome.Interrupted, Start("halves", stopAt: 9, overrides));
        Assert.Equal(Outcome.Finished, Resume("halves"));
        Assert.Equal(Losses("straight"), Losses("halves"));
        Checkpoint straight = Latest("straight"), halves = Latest("halves");
        Assert.NotNull(straight.State.ValidationLoss);
        Assert.Equal((straight.State.ValidationLoss, straight.State.ValidationAccuracy), (halves.State.ValidationLoss, halves.State.ValidationAccuracy));
        foreach (var file in new[] { "model.safetensors", "optimizer.safetensors" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(straight.Path, file)), File.ReadAllBytes(Path.Combine(halves.Path, file)));
    }

    /// <summary>What differs is the rounding of float32 sums in another order, which the optimizer may enlarge a hundredfold in a few steps.</summary>
    private protected void AssertSameLosses(string run, string other, double tolerance = 1e-4)
    {
        Assert.NotEmpty(Losses(run));
        Assert.Equal(Losses(run).Count, Losses(other).Count);
        foreach (var (a, b) in Losses(run).Zip(Losses(other))) Assert.Equal(1, b / a, tolerance);
    }

    private protected long TokensOf(string split)
    {
        using var shards = TokenShards.Open(Data, split);
        return shards.Length;
    }
}
