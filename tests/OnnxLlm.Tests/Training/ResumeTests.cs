using OnnxLlm.Graphs;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Tests.Training;

/// <summary>A run that goes on after an end, a fault or another machine's work must be the run that never stopped, or say why it is not.</summary>
public sealed class ResumeTests : TinyRuns
{
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
        File.AppendAllText(Path.Combine(Folder, "run", "artifacts", "training_model.onnx"), " ");

        var error = Assert.Throws<GraphException>(() => Resume("run"));

        Assert.EndsWith("training_model.onnx is not the file that the manifest describes: its SHA-256 differs.", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("optimizer.type=muon")]
    [InlineData("optimizer.type=momentum")]
    [InlineData("optimizer.moments=int8")]
    public void Resume_WithAnotherOptimizer_IsBitForBitToo(string optimizer)
    {
        string[] settings = ["steps=20", optimizer];
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
        var file = RunFolder.Open(Path.Combine(Folder, "halves")).OptimizerState;
        Assert.False(File.Exists(file));
        File.WriteAllText(file, "left by a process that was killed");

        Assert.Equal(Outcome.Finished, Resume("halves"));

        Assert.Equal(Losses("straight"), Losses("halves"));
        foreach (var name in new[] { "model.safetensors", "optimizer.safetensors" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(Latest("straight").Path, name)), File.ReadAllBytes(Path.Combine(Latest("halves").Path, name)));
        Assert.False(File.Exists(file));
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
        Assert.Contains(MetricsLog.Lines(Path.Combine(Folder, "straight", "metrics.jsonl")), l => l.TryGetProperty("event", out var kind) && kind.GetString() == "overflow");
    }

    [Fact]
    public void Resume_WhenTheSelfCheckFindsOtherBits_RefusesUnlessAllowed()
    {
        Start("run", stopAt: 10, "steps=20");
        var store = new CheckpointStore(Path.Combine(Folder, "run", "checkpoints"), 2);
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

    /// <summary>3 and the float32 after it, and a loss that is off by a hundredth.</summary>
    [Theory]
    [InlineData("40400000", false, true, "has the recorded bits, 40400000")]
    [InlineData("40400001", false, false, "has the bits 40400001, 40400000 were recorded")]
    [InlineData("40400001", true, true, "is 3.00000024, 3 was recorded: they differ by 7.9E-008, allowed is 2.0E-003")]
    [InlineData("4041EB85", true, false, "is 3.02999997, 3 was recorded: they differ by 1.0E-002, allowed is 2.0E-003")]
    [InlineData("7FC00000", true, false, "is NaN, 3 was recorded: they differ by NaN, allowed is 2.0E-003")]
    public void ResumeCheck_WantsEqualBitsOnTheCpu_AndASmallDifferenceOnAGpu(string found, bool onGpu, bool holds, string text)
    {
        var check = new ResumeCheck(7, "40400000", found, onGpu);
        Assert.Equal((holds, $"resumed from step 7; the next loss {text}"), (check.Holds, check.Text));
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
    public void Resume_WithACheckpointOfAnotherModel_IsRefused()
    {
        Start("run", stopAt: 5, "steps=20");
        Start("other", stopAt: 8, "steps=20", "model.intermediate_size=96");
        Directory.Move(Latest("other").Path, Path.Combine(Folder, "run", "checkpoints", "step-00000008"));

        Assert.Matches("step-00000008 belongs to another run: its config hash is [0-9a-f]{64}, the run's [0-9a-f]{64}.$", Assert.Throws<TrainingException>(() => Resume("run")).Message);
    }

    [Fact]
    public void Resume_OnOtherData_IsRefused()
    {
        Start("run", stopAt: 5, "steps=20");
        TinyTraining.WriteShards(Data, seed: 9);

        Assert.Contains("is not what the run began with", Assert.Throws<TrainingException>(() => Resume("run")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resume_OfAFinishedRun_ChangesNothing()
    {
        Start("run", "steps=6");
        var before = File.ReadAllText(Path.Combine(Folder, "run", "metrics.jsonl"));
        var notes = new List<string>();

        Assert.Equal(Outcome.Finished, Resume("run", notes: notes));

        Assert.EndsWith("is finished, at step 6.", Assert.Single(notes), StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllText(Path.Combine(Folder, "run", "metrics.jsonl")));
    }
}
