using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Training;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Tests.OrtTraining;

/// <summary>What the engine asks of a native session, in which order, with which arguments.</summary>
public sealed class OrtTrainingEngineTests : IDisposable
{
    private const string Train = "train Int64[2,16]:7 Int64[2,16]:9 Float[]:0.25 → Float[] Float[]";

    private readonly string _folder = Directory.CreateTempSubdirectory("engine-").FullName;
    private readonly List<string> _calls = [];
    private readonly TrainingSetup _setup = new()
    {
        Model = TinyTraining.Model,
        Shape = new(2, TinyTraining.Time),
        Optimizer = new OptimizerSettings { Decay = DecayedParameters.All },
        Frozen = ["model.layers.0.*"],
    };

    private readonly OrtTrainingEngine _engine;
    private RecordingSession? _session;

    public OrtTrainingEngineTests() => _engine = new OrtTrainingEngine(Open, "fresh", _setup);

    public void Dispose()
    {
        _engine.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Accumulate_ResetsOnce_AndFeedsByPosition()
    {
        var losses = new[] { _engine.Accumulate(Batch(), reset: true, 0.25f), _engine.Accumulate(Batch(), reset: false, 0.25f) };

        Assert.Equal(["open fresh", "reset", Train, Train], _calls);
        Assert.Equal([1f, 1f], losses);
    }

    [Fact]
    public void Update_SetsTheRate_BeforeTheStep()
    {
        _engine.Accumulate(Batch(), reset: true, 0.25f);

        Assert.Equal(0.5f, _engine.Update(0.01, update: 1));

        Assert.Equal(["rate 0.01", "update"], _calls[^2..]);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Update_AfterANormThatIsNotFinite_AsksForNothing(float norm)
    {
        _session!.Norm = norm;
        _engine.Accumulate(Batch(), reset: true, 0.25f);

        Assert.Equal(norm, _engine.Update(0.01, update: 1));

        Assert.Equal(Train, _calls[^1]);
    }

    [Fact]
    public void Evaluate_ReturnsTheTokenLosses()
    {
        Assert.Equal(Enumerable.Repeat(2f, 32), _engine.Evaluate(Batch()).ToArray());
        Assert.Equal("evaluate Int64[2,16]:7 Int64[2,16]:9 → Float[32]", _calls[^1]);
    }

    [Fact]
    public void Save_WritesTheRuntimesCheckpoint_TheWeightsAndTheInferenceModel()
    {
        _engine.Save(_folder);

        Assert.Equal(["save checkpoint", "parameters", "export inference_model.onnx logits"], _calls[^3..]);
        using var weights = Safetensors.Open(Path.Combine(_folder, "model.safetensors"));
        long position = 0;
        foreach (var p in _setup.Parameters())
        {
            Assert.Equal(p.Shape.AsEnumerable(), weights[p.Name].Shape.AsEnumerable());
            Assert.Equal(position, weights.Span<float>(p.Name)[0]);
            position += p.Count;
        }
    }

    [Fact]
    public void Load_OpensASessionAnew()
    {
        _engine.Load("step-2");

        Assert.Equal(["open fresh", "close fresh", "open step-2"], _calls);
        var files = OrtTrainingEngine.Files("artifacts", "step-2");
        Assert.Equal(
            [Path.Combine("step-2", "checkpoint"), Path.Combine("artifacts", "training_model.onnx"), Path.Combine("artifacts", "eval_model.onnx"), Path.Combine("artifacts", "optimizer_model.onnx")],
            [files.Checkpoint, files.TrainingModel, files.EvaluationModel, files.OptimizerModel]);
    }

    /// <summary>Accumulation, schedule, validation and checkpoints are the trainer's; it does not know which engine it drives.</summary>
    [Fact]
    public void Trainer_DrivesIt_StepByStep()
    {
        var config = ConfigFile.Load(
            Repository.PathOf("training", "configs", "tiny.json"),
            ["steps=2", "global_batch=4", "micro_batch=2", "evaluate_every=2", "evaluate_tokens=32", "checkpoint_every=0", "schedule.type=linear", "schedule.warmup_steps=1", "schedule.min_learning_rate=0"]);
        var windows = TinyTraining.Windows(TinyTraining.Tokens(3000));
        using var metrics = MetricsLog.Open(Path.Combine(_folder, "metrics.jsonl"), 0);
        var parts = new TrainerParts(
            _engine, new TokenDataset(windows, new EpochOrder(windows.Count, 1), 4, 2), new ValidationSet(windows, 2, 32),
            new CheckpointStore(Path.Combine(_folder, "checkpoints"), 1), metrics, new TestView(_ => { }), TimeProvider.System);

        Assert.Equal(Outcome.Finished, new Trainer(config, parts, new TrainingState { ConfigHash = "" }).Train(default));

        string[] step = ["reset", "train", "train", "rate", "update"];
        Assert.Equal(["open", .. step, .. step, "evaluate", "reset", "train", "save", "parameters", "export"], _calls.Select(c => c.Split(' ')[0]));
        Assert.Equal(["rate 0.01", "rate 0.01"], _calls.Where(c => c.StartsWith("rate", StringComparison.Ordinal)));
    }

    private RecordingSession Open(string folder)
    {
        _calls.Add($"open {folder}");
        return _session = new RecordingSession(_calls, folder);
    }

    private static MicroBatch Batch() => new([7, .. new long[31]], [9, .. new long[31]], 32);
}
