using OnnxLlm.Graphs;
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

/// <summary>Whole runs of a tiny model, on real shards, checkpoints and ONNX Runtime.</summary>
public sealed class TrainingRunTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("training-").FullName;

    public TrainingRunTests() => TinyTraining.WriteShards(Data);

    private string Data => Path.Combine(_folder, "data");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(2, false)]
    public void Resume_AfterHalfOfTheSteps_EqualsAnUninterruptedRunBitForBit(int threads, bool kernels)
    {
        string[] settings = ["steps=100", $"threads={threads}", $"kernels={(kernels ? "true" : "false")}"];
        Start("straight", settings);
        Assert.Equal(Outcome.Interrupted, Start("halves", stopAt: 50, settings));
        Assert.Equal("step-00000050", Path.GetFileName(Latest("halves").Path));

        Assert.Equal(Outcome.Finished, Resume("halves"));

        Assert.Equal(100, Latest("halves").State.Step);
        foreach (var file in new[] { "model.safetensors", "optimizer.safetensors" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(Latest("straight").Path, file)), File.ReadAllBytes(Path.Combine(Latest("halves").Path, file)));
        Assert.Equal(Losses("straight"), Losses("halves"));
        Assert.Equal(100, Losses("halves").Count);
        var (a, b) = (Latest("straight").State, Latest("halves").State);
        Assert.Equal((a.Position, a.Updates, a.Tokens, a.NextLossBits, a.ValidationLoss), (b.Position, b.Updates, b.Tokens, b.NextLossBits, b.ValidationLoss));
    }

    [Fact]
    public void Resume_WithAGraphThatWasChanged_IsRefused()
    {
        Start("run", stopAt: 5, ["steps=10"]);
        File.AppendAllText(Path.Combine(_folder, "run", "artifacts", "training_model.onnx"), " ");

        var error = Assert.Throws<GraphException>(() => Resume("run"));

        Assert.EndsWith("training_model.onnx is not the file that the manifest describes: its SHA-256 differs.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Start_WithAScheduleLongerThanItsEpochs_IsRefused()
    {
        var error = Assert.Throws<TrainingException>(() => Start("run", "epochs=1", "schedule.warmup_steps=40"));

        Assert.Equal("schedule.warmup_steps: 40 must be below steps, 24 (1 epochs of 188 sequences in batches of 8).", error.Message);
        Assert.False(Directory.Exists(Path.Combine(_folder, "run")));
    }

    [Theory]
    [InlineData("muon")]
    [InlineData("momentum")]
    public void Resume_WithAnotherOptimizer_IsBitForBitToo(string optimizer)
    {
        string[] settings = ["steps=20", $"optimizer.type={optimizer}"];
        Start("straight", settings);
        Start("halves", stopAt: 10, settings);

        Assert.Equal(Outcome.Finished, Resume("halves"));

        Assert.Equal(Losses("straight"), Losses("halves"));
    }

    /// <summary>The state lies in a file that is worth nothing after the process: a resume fills it from the checkpoint.</summary>
    [Fact]
    public void Resume_WithAnOffloadedState_EqualsARunThatKeepsItInMemory()
    {
        Start("straight", "steps=20");
        Start("halves", stopAt: 10, "steps=20", "optimizer_offload=disk");
        var file = RunFolder.Open(Path.Combine(_folder, "halves")).OptimizerState;
        Assert.False(File.Exists(file));
        File.WriteAllText(file, "left by a process that was killed");

        Assert.Equal(Outcome.Finished, Resume("halves"));

        Assert.Equal(Losses("straight"), Losses("halves"));
        foreach (var name in new[] { "model.safetensors", "optimizer.safetensors" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(Latest("straight").Path, name)), File.ReadAllBytes(Path.Combine(Latest("halves").Path, name)));
        Assert.False(File.Exists(file));
    }

    /// <summary>Sequences of 4 tokens, then of 8, then of 16: the loss goes on where it was (it jumps by less than 5 %), and so does a resume.</summary>
    [Fact]
    public void Stages_LengthenTheSequences_AndTheLossGoesOn()
    {
        string[] settings = ["steps=90", "optimizer.learning_rate=3e-4", "schedule.min_learning_rate=1e-4", """stages=[{"steps":30,"sequence_length":4},{"steps":30,"sequence_length":8}]"""];
        Start("straight", settings);
        Start("halves", stopAt: 30, settings);
        Assert.Equal(Outcome.Finished, Resume("halves"));

        var losses = Losses("straight");
        Assert.Equal(losses, Losses("halves"));
        foreach (int change in new[] { 30, 60 })
            Assert.InRange(losses[change..(change + 5)].Average() / losses[(change - 5)..change].Average(), 0.95, 1.05);
        var stages = MetricsLog.Lines(Path.Combine(_folder, "straight", "metrics.jsonl")).Where(l => l.TryGetProperty("event", out var kind) && kind.GetString() == "stage");
        Assert.Equal([30, 60], stages.Select(l => l.GetProperty("step").GetInt64()));
    }

    /// <summary>The scale begins where it must overflow and doubles often, so its state matters at the checkpoint.</summary>
    [Fact]
    public void Resume_InFloat16_IsBitForBitToo()
    {
        string[] settings = ["steps=40", "precision=fp16", "loss_scale.initial=1073741824", "loss_scale.growth_interval=3", "activation_checkpointing=block"];
        Start("straight", settings);
        Start("halves", stopAt: 20, settings);

        Assert.Equal(Outcome.Finished, Resume("halves"));

        Assert.Equal(Losses("straight"), Losses("halves"));
        foreach (var file in new[] { "model.safetensors", "optimizer.safetensors", "loss_scale.json" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(Latest("straight").Path, file)), File.ReadAllBytes(Path.Combine(Latest("halves").Path, file)));
        Assert.InRange(Latest("straight").State.Skipped, 6, 30);
        Assert.Contains(MetricsLog.Lines(Path.Combine(_folder, "straight", "metrics.jsonl")), l => l.TryGetProperty("event", out var kind) && kind.GetString() == "overflow");
    }

    [Fact]
    public void Resume_WhenTheSelfCheckFindsOtherBits_RefusesUnlessAllowed()
    {
        Start("run", stopAt: 10, "steps=20");
        var store = new CheckpointStore(Path.Combine(_folder, "run", "checkpoints"), 2);
        var latest = Latest("run");
        store.Save(latest.State with { Position = latest.State.Position + 8 }, folder =>
        {
            foreach (var file in Directory.GetFiles(latest.Path, "*.safetensors")) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        });

        var error = Assert.Throws<TrainingException>(() => Resume("run"));

        Assert.StartsWith("The resumed run would not equal an uninterrupted one: resumed from step 10; the next loss has the bits ", error.Message, StringComparison.Ordinal);
        Assert.Contains("Versions and machine are those of the record.", error.Message, StringComparison.Ordinal);
        Assert.Equal(Outcome.Finished, Resume("run", allowInexact: true));
    }

    [Fact]
    public void Resume_WithATruncatedCheckpoint_FallsBackWithAWarningAndEndsTheSame()
    {
        Start("straight", "steps=20");
        Start("run", stopAt: 15, "steps=20", "checkpoint_every=10");
        using (var file = File.OpenWrite(Path.Combine(Latest("run").Path, "optimizer.safetensors"))) file.SetLength(1000);
        var notes = new List<string>();

        Assert.Equal(Outcome.Finished, Resume("run", notes: notes));

        Assert.Equal("Checkpoint step-00000015 is refused: optimizer.safetensors is truncated or damaged (its SHA-256 differs).", notes[0]);
        Assert.StartsWith("resumed from step 10", notes[1], StringComparison.Ordinal);
        Assert.Equal(Losses("straight"), Losses("run"));
    }

    [Fact]
    public void Resume_WithoutAWholeCheckpoint_IsRefused()
    {
        Start("run", stopAt: 5, "steps=20");
        File.Delete(Path.Combine(Latest("run").Path, "model.safetensors"));

        var error = Assert.Throws<TrainingException>(() => Resume("run"));

        Assert.Matches("^None of the 1 checkpoints in '.*' is whole.$", error.Message);
    }

    [Fact]
    public void Resume_OnOtherData_IsRefused()
    {
        Start("run", stopAt: 5, "steps=20");
        TinyTraining.WriteShards(Data, seed: 9);

        Assert.Contains("is not what the run began with", Assert.Throws<TrainingException>(() => Resume("run")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Start_InAFolderThatHoldsARun_IsRefused()
    {
        Start("run", "steps=6");
        var path = Path.Combine(_folder, "run");

        Assert.Equal($"'{path}' holds a run already. Continue it with: resume {path}, or name another folder with --run.", Assert.Throws<TrainingException>(() => Start("run", "steps=6")).Message);
    }

    [Fact]
    public void Resume_OfAFinishedRun_ChangesNothing()
    {
        Start("run", "steps=6");
        var before = File.ReadAllText(Path.Combine(_folder, "run", "metrics.jsonl"));
        var notes = new List<string>();

        Assert.Equal(Outcome.Finished, Resume("run", notes: notes));

        Assert.EndsWith("is finished, at step 6.", Assert.Single(notes), StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllText(Path.Combine(_folder, "run", "metrics.jsonl")));
    }

    [Fact]
    public void Start_WhileAnotherProcessTrains_IsRefused()
    {
        var folder = RunFolder.Create(Path.Combine(_folder, "run"));
        using var held = folder.Lock();

        Assert.EndsWith("is being trained by another process.", Assert.Throws<TrainingException>(() => Start("run", "steps=6")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Start_WithAVocabularySmallerThanTheData_IsRefused() => Assert.Equal(
        $"data: '{Data}' has ids of a vocabulary of 64, model.vocab_size is 60.",
        Assert.Throws<TrainingException>(() => Start("run", "steps=6", "model.vocab_size=60")).Message);

    [Fact]
    public void Epochs_SeeAllDataAndPadTheLastBatch()
    {
        Start("run", "epochs=3");
        var tokens = TokensOf("train");

        Assert.Equal(3 * (tokens - 1), Latest("run").State.Tokens);
        Assert.Equal((3 * ((tokens - 1 + TinyTraining.Time - 1) / TinyTraining.Time) + 7) / 8, Latest("run").State.Step);
    }

    [Fact]
    public void Run_Trained_LearnsAndRecordsWhereItCameFrom()
    {
        Start("run", "steps=100");
        var folder = RunFolder.Open(Path.Combine(_folder, "run"));
        var record = folder.Read();

        Assert.InRange(Latest("run").State.ValidationLoss!.Value, 0.5, 2.5);       // from ln 64 = 4.16
        Assert.Equal(TokensOf("train"), record.Data.TrainingTokens);
        Assert.Equal(OnnxLlm.Runtime.OrtSession.RuntimeVersion, record.Versions.OnnxRuntime);
        Assert.All(new[] { "training_model", "eval_model", "optimizer_model" }, name => Assert.True(File.Exists(Path.Combine(folder.Root, "artifacts", name + ".onnx"))));
        Assert.Contains(("last.step", "100"), OnnxLlm.Training.Commands.ShowCommand.Facts(folder));
        Assert.Contains(("config.optimizer.type", "adamw"), OnnxLlm.Training.Commands.ShowCommand.Facts(folder));
    }

    [Fact]
    public void Minutes_OnAFixedClock_ArePlannedOnceCalibrated()
    {
        var clock = new SteppingClock();
        // Each look at the clock takes 10 ms; the plan fits the 6 seconds, and the run ends within them.
        Assert.Equal(Outcome.Finished, Start("run", clock, _ => { }, "minutes=0.1", "evaluate_every=50", "checkpoint_every=0"));

        var state = Latest("run").State;
        Assert.Equal(state.PlannedSteps, state.Step);
        Assert.InRange(state.ElapsedSeconds, 4, 6.5);
        Assert.Contains(MetricsLog.Lines(Path.Combine(_folder, "run", "metrics.jsonl")), l => l.TryGetProperty("event", out var e) && e.GetString() == "planned");
    }

    private Outcome Start(string run, params string[] overrides) => Start(run, TimeProvider.System, _ => { }, overrides);

    private Outcome Start(string run, int stopAt, params string[] overrides)
    {
        using var stop = new CancellationTokenSource();
        return Start(run, TimeProvider.System, report => { if (report.Metrics.Step == stopAt) stop.Cancel(); }, stop.Token, overrides);
    }

    private Outcome Start(string run, TimeProvider clock, Action<StepReport> onStep, params string[] overrides) => Start(run, clock, onStep, default, overrides);

    private Outcome Start(string run, TimeProvider clock, Action<StepReport> onStep, CancellationToken stop, params string[] overrides)
    {
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", "tiny.json"), [$"data={Data}", "threads=1", .. overrides]);
        var training = new TrainingRun(RunFolder.Create(Path.Combine(_folder, run)), new RunOptions { Command = "train" }, new TestView(onStep), clock);
        return training.Start(config, stop);
    }

    private Outcome Resume(string run, bool allowInexact = false, List<string>? notes = null)
    {
        var view = new TestView(_ => { });
        var outcome = new TrainingRun(RunFolder.Open(Path.Combine(_folder, run)), new RunOptions { Command = "resume", AllowInexact = allowInexact }, view, TimeProvider.System).Resume(default);
        notes?.AddRange(view.Notes);
        return outcome;
    }

    private Checkpoint Latest(string run) => new CheckpointStore(Path.Combine(_folder, run, "checkpoints"), 2).Latest(_ => { })!;

    private List<double> Losses(string run) =>
        [.. MetricsLog.Lines(Path.Combine(_folder, run, "metrics.jsonl")).Where(l => l.TryGetProperty("learning_rate", out _)).Select(l => l.GetProperty("loss").GetDouble())];

    private long TokensOf(string split)
    {
        using var shards = TokenShards.Open(Data, split);
        return shards.Length;
    }

    /// <summary>A clock that moves 10 ms whenever it is looked at.</summary>
    private sealed class SteppingClock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => _now += 10;
    }
}
