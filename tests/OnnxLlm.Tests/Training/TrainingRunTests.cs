using OnnxLlm.Graphs;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Tests.Training;

/// <summary>Whole runs of a tiny model: how they begin, how long they last, what they leave.</summary>
public sealed class TrainingRunTests : TinyRuns
{
    [Fact]
    public void Start_WithAScheduleLongerThanItsEpochs_IsRefused()
    {
        var error = Assert.Throws<TrainingException>(() => Start("run", "epochs=1", "schedule.warmup_steps=40"));

        Assert.Equal("schedule.warmup_steps: 40 must be below steps, 24 (1 epochs of 188 sequences in batches of 8).", error.Message);
        Assert.False(Directory.Exists(Path.Combine(Folder, "run")));
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
        var stages = MetricsLog.Lines(Path.Combine(Folder, "straight", "metrics.jsonl")).Where(l => l.TryGetProperty("event", out var kind) && kind.GetString() == "stage");
        Assert.Equal([30, 60], stages.Select(l => l.GetProperty("step").GetInt64()));
    }

    [Fact]
    public void LastCheckpoint_HoldsTheLastValidation_AlsoWhereItWasDueAnyway()
    {
        Assert.Equal(Outcome.Finished, Start("run", "steps=6", "checkpoint_every=3", "evaluate_every=0"));
        Assert.NotNull(Latest("run").State.ValidationLoss);
        Assert.Equal(6, new CheckpointStore(Path.Combine(Folder, "run", "checkpoints"), 2).Best()!.State.Step);
    }

    [Fact]
    public void Start_InAFolderThatHoldsARun_IsRefused()
    {
        Start("run", "steps=6");
        var path = Path.Combine(Folder, "run");

        Assert.Equal($"'{path}' holds a run already. Continue it with: resume {path}, or name another folder with --run.", Assert.Throws<TrainingException>(() => Start("run", "steps=6")).Message);
    }

    [Fact]
    public void Start_WhileAnotherProcessTrains_IsRefused()
    {
        var folder = RunFolder.Create(Path.Combine(Folder, "run"));
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
        var folder = RunFolder.Open(Path.Combine(Folder, "run"));
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
        Assert.Contains(MetricsLog.Lines(Path.Combine(Folder, "run", "metrics.jsonl")), l => l.TryGetProperty("event", out var e) && e.GetString() == "planned");
    }

    /// <summary>A clock that moves 10 ms whenever it is looked at.</summary>
    private sealed class SteppingClock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => _now += 10;
    }
}
