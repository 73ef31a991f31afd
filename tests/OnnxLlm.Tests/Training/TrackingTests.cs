using System.Diagnostics;
using System.Text.Json;
using OnnxLlm.Tests.Support;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Runs;
using OnnxLlm.Training.Tracking;
using TrainingRun = OnnxLlm.Training.Runs.TrainingRun;

namespace OnnxLlm.Tests.Training;

/// <summary>What a run tells others of itself, and that none of them can harm it.</summary>
public sealed class TrackingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tracking-").FullName;
    private readonly List<string> _notes = [];

    public TrackingTests() => TinyTraining.WriteShards(Path.Combine(_folder, "data"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TensorBoard_ReadByAnotherReader_HoldsTheCurvesOfTheLog()
    {
        Train("run", "tracking.tensorboard=true", "stability.statistics_every=5");
        var events = ReadEvents(Assert.Single(Directory.GetFiles(Path.Combine(_folder, "run", "tensorboard"))));

        Assert.Equal("brain.Event:2", events[0].GetProperty("file_version").GetString());
        Assert.Equal(1, events[1].GetProperty("session_log").GetProperty("status").GetInt32());
        var values = events.Where(e => e.TryGetProperty("summary", out _)).SelectMany(e => e.GetProperty("summary").GetProperty("value").EnumerateArray().Select(v => (Step: e.GetProperty("step").GetInt64(), Value: v))).ToList();
        foreach (var name in new[] { "loss", "learning_rate", "gradient_norm", "tokens_per_second", "validation_loss" })
            Assert.Equal(Logged(name), values.Where(v => v.Value.GetProperty("tag").GetString() == name).Select(v => (v.Step, (float)v.Value.GetProperty("simple_value").GetDouble())));
        Assert.Contains(values, v => v.Value.GetProperty("tag").GetString() == "layers/block 1/gradient_norm");
        var text = values.First(v => v.Value.GetProperty("tag").GetString() == "events/checkpoint").Value;
        Assert.Equal(("text", "checkpoint saved"), (text.GetProperty("metadata").GetProperty("plugin_data").GetProperty("plugin_name").GetString(), text.GetProperty("text").GetString()));
    }

    [Fact]
    public void Checksum_OfTheStandardsExample_IsItsMaskedCrc() =>
        Assert.Equal(Masked(0xE3069283), EventFile.Checksum("123456789"u8));      // the check value of CRC-32C

    [Fact]
    public void TensorBoard_FolderThatCannotBeMade_IsComplainedOfOnce()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "run"));
        File.WriteAllText(Path.Combine(_folder, "run", "tensorboard"), "in the way");

        Assert.Equal(Outcome.Finished, Train("run", "tracking.tensorboard=true"));

        Assert.StartsWith("The TensorBoard events end here: ", Assert.Single(_notes, n => n.Contains("TensorBoard", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public void Mlflow_ReceivesTheRun_WithinItsLimits()
    {
        using var server = new MlflowServer();

        Train("run", $"tracking.mlflow={server.Address}", "tracking.experiment=stories");

        Assert.Equal("stories", (string?)server.Bodies("experiments/create").Single()["name"]);
        Assert.Equal(("7", "run"), ((string?)server.Bodies("runs/create").Single()["experiment_id"], (string?)server.Bodies("runs/create").Single()["run_name"]));
        Assert.Equal(Logged("loss"), server.Metrics.Where(m => (string?)m["key"] == "loss").Select(m => ((long)m["step"]!, (float)(double)m["value"]!)));
        Assert.Contains(server.Bodies("runs/log-batch").SelectMany(b => b["params"]?.AsArray() ?? []), p => (string?)p!["key"] == "optimizer.type" && (string?)p["value"] == "adamw");
        Assert.All(server.Bodies("runs/log-batch"), b => Assert.True((b["params"]?.AsArray().Count ?? 0) <= 100 && (b["metrics"]?.AsArray().Count ?? 0) <= 1000));
        Assert.Equal(("abc", "FINISHED"), ((string?)server.Bodies("runs/update").Single()["run_id"], (string?)server.Bodies("runs/update").Single()["status"]));
        Assert.DoesNotContain(_notes, n => n.Contains("MLflow", StringComparison.Ordinal));
    }

    [Fact]
    public void Mlflow_ThatIsDown_ChangesNothingButALine()
    {
        Train("alone");
        Assert.Equal(Outcome.Finished, Train("run", $"tracking.mlflow=http://127.0.0.1:{MlflowServer.FreePort()}"));

        Assert.Equal(Weights("alone"), Weights("run"));
        Assert.Equal(Logged("loss", "alone"), Logged("loss"));
        Assert.EndsWith("; the run goes on, they are kept and tried again.", Assert.Single(_notes, n => n.StartsWith("MLflow at", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public void Mlflow_ThatFailsFirst_ReceivesEverythingLater()
    {
        using var server = new MlflowServer { Status = call => call == 0 ? 503 : 200 };

        Train("run", $"tracking.mlflow={server.Address}");

        Assert.Equal(Logged("loss").Count, server.Metrics.Count(m => (string?)m["key"] == "loss"));
        Assert.Contains("it answered 503", Assert.Single(_notes, n => n.StartsWith("MLflow at", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    /// <summary>A run may be over before its first call is made, which is then the last as well: it is made again. Which of the two comes first differs from time to time.</summary>
    [Fact]
    public void Mlflow_ThatFailsAtTheEnd_IsTriedOnceMore()
    {
        for (var time = 0; time < 20; time++)
        {
            using var server = new MlflowServer { Status = call => call == 0 ? 503 : 200 };
            using var tracker = new MlflowTracker(MlflowClient.Connect(server.Address), new MlflowRun("e", "r", Path.Combine(_folder, $"id{time}"), []), TimeProvider.System);
            tracker.Record(new TrackedPoint(1, [("loss", 2.5)], []));
            tracker.End(Outcome.Finished);
            Assert.Equal("loss", (string?)Assert.Single(server.Metrics)["key"]);
        }
    }

    /// <summary>The fourth call brings the parameters: the run is there already, and must not be made a second time.</summary>
    [Fact]
    public void Mlflow_ThatFailsAfterTheRunWasMade_HasItOnce()
    {
        using var server = new MlflowServer { Status = call => call == 3 ? 503 : 200 };

        Train("run", $"tracking.mlflow={server.Address}");

        Assert.Single(server.Bodies("runs/create"));
        Assert.Contains(server.Bodies("runs/log-batch").SelectMany(b => b["params"]?.AsArray() ?? []), p => (string?)p!["key"] == "optimizer.type");
        Assert.Equal(Logged("loss").Count, server.Metrics.Count(m => (string?)m["key"] == "loss"));
    }

    [Fact]
    public void Mlflow_LongParameters_AreCutToWhatServersTake()
    {
        using var server = new MlflowServer();

        Train("run", $"tracking.mlflow={server.Address}", $"tracking.experiment={new string('e', 600)}");

        Assert.Equal(new string('e', 500), server.Bodies("runs/log-batch").SelectMany(b => b["params"]?.AsArray() ?? []).Where(p => (string?)p!["key"] == "tracking.experiment").Select(p => (string?)p!["value"]).Single());
    }

    /// <summary>Some other program that listens there.</summary>
    [Fact]
    public void Mlflow_ThatIsSomethingElse_HarmsNothing()
    {
        using var server = new MlflowServer { Answer = """{"experiment_id": "7", "run": "none"}""" };

        Assert.Equal(Outcome.Finished, Train("run", $"tracking.mlflow={server.Address}"));

        Assert.Contains(_notes, n => n.EndsWith("metrics.jsonl has them all.", StringComparison.Ordinal));
    }

    [Fact]
    public void Mlflow_AfterAResume_GoesOnWithTheSameRun()
    {
        using var server = new MlflowServer();
        var run = new MlflowRun("stories", "run", Path.Combine(_folder, "id"), []);
        foreach (var step in new[] { 1, 2 })
        {
            using var tracker = new MlflowTracker(MlflowClient.Connect(server.Address), run, TimeProvider.System);
            tracker.Record(new TrackedPoint(step, [("loss", 3)], []));
            tracker.End(Outcome.Interrupted);
        }

        Assert.Single(server.Bodies("runs/create"));
        Assert.Equal([1L, 2L], server.Metrics.Select(m => (long)m["step"]!));
        Assert.Equal(["KILLED", "RUNNING", "KILLED"], server.Bodies("runs/update").Select(b => (string?)b["status"]));
    }

    [Fact]
    public void Mlflow_ManyValues_AreSentInCallsOfAThousand()
    {
        var gate = new TaskCompletionSource();
        using var server = new MlflowServer { Gate = gate.Task };
        using var tracker = new MlflowTracker(MlflowClient.Connect(server.Address), new MlflowRun("e", "r", Path.Combine(_folder, "id"), []), TimeProvider.System);
        for (var step = 0; step < 2500; step++) tracker.Record(new TrackedPoint(step, [("loss", step)], []));
        gate.SetResult();
        tracker.End(Outcome.Finished);

        Assert.Equal(Enumerable.Range(0, 2500).Select(i => (long)i), server.Metrics.Select(m => (long)m["step"]!));
        Assert.All(server.Bodies("runs/log-batch"), b => Assert.InRange(b["metrics"]?.AsArray().Count ?? 0, 0, 1000));
    }

    [Theory]
    [InlineData("localhost:5000", "tracking.mlflow: 'localhost:5000' is no http or https address")]
    [InlineData("http://me:secret@host", "tracking.mlflow: must not hold a password, which run.json would repeat; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")]
    public void Mlflow_AddressOfAnotherKind_IsRefused(string address, string problem) =>
        Assert.EndsWith(problem, Assert.Throws<TrainingException>(() => Config($"tracking.mlflow={address}")).Message, StringComparison.Ordinal);

    private static uint Masked(uint crc) => ((crc >> 15) | (crc << 17)) + 0xA282EAD8;

    private static List<JsonElement> ReadEvents(string file)
    {
        var script = Repository.PathOf("tests", "OnnxLlm.Tests", "Training", "read-events.mjs");
        using var node = Process.Start(new ProcessStartInfo("node", [script, Repository.PathOf("package.json"), file]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = node.StandardError.ReadToEndAsync();
        List<JsonElement> events = [.. node.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
        node.WaitForExit();
        Assert.True(node.ExitCode == 0, error.Result);
        return events;
    }

    private RunConfig Config(params string[] overrides) => ConfigFile.Load(
        Repository.PathOf("training", "configs", "tiny.json"), [$"data={Path.Combine(_folder, "data")}", "threads=1", "steps=20", "evaluate_every=10", "checkpoint_every=10", .. overrides]);

    private Outcome Train(string run, params string[] overrides)
    {
        var view = new TestView(_ => { });
        var outcome = new TrainingRun(RunFolder.Create(Path.Combine(_folder, run)), new RunOptions { Command = "train" }, view, TimeProvider.System).Start(Config(overrides), default);
        _notes.AddRange(view.Notes);
        return outcome;
    }

    private List<(long Step, float Value)> Logged(string name, string run = "run") =>
        [.. MetricsLog.Lines(Path.Combine(_folder, run, "metrics.jsonl")).Where(l => l.TryGetProperty(name, out _)).Select(l => (l.GetProperty("step").GetInt64(), (float)l.GetProperty(name).GetDouble()))];

    private byte[] Weights(string run) =>
        File.ReadAllBytes(Path.Combine(new CheckpointStore(Path.Combine(_folder, run, "checkpoints"), 1).Latest(_ => { })!.Path, "model.safetensors"));
}
