using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Tests.Training;

/// <summary>Memory that does not suffice for a micro-batch, brought about by an engine that fails half-way, with gradients already added.</summary>
public sealed class MemoryRecoveryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("scarce-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The smaller pieces add up in the same order as micro-batches of their size would, so not even rounding differs.</summary>
    [Fact]
    public void MicroBatch_ThatDoesNotFit_IsRunInPieces_WithTheSameResult()
    {
        var (scarce, state, events) = Train(microBatch: 4, rowsThatFit: 2);
        var (plain, _, none) = Train(microBatch: 2, rowsThatFit: int.MaxValue);
        Assert.Equal(plain, scarce);
        Assert.Equal(2 * TinyTraining.Time, state.PieceTokens);
        Assert.Empty(none);
        Assert.Equal(["micro-batches are run as pieces of 2 × 16 tokens instead of 4 × 16 from here on; the global batch stays 8 sequences"], events);
    }

    [Fact]
    public void OddMicroBatch_IsDividedAllTheSame()
    {
        var (_, state, events) = Train(microBatch: 1, rowsThatFit: 1);
        Assert.Null(state.PieceTokens);
        Assert.Equal(1, PieceSession.Rows(7, 3));
        Assert.Equal(3, PieceSession.Rows(9, 4));
        Assert.Empty(events);
    }

    [Fact]
    public void Sequence_ThatDoesNotFitAlone_EndsTheRun_WithAdvice()
    {
        var e = Assert.Throws<TrainingException>(() => Train(microBatch: 4, rowsThatFit: 0));
        Assert.StartsWith("Memory does not suffice for a single sequence of 16 tokens.", e.Message, StringComparison.Ordinal);
    }

    private (float[] Weights, TrainingState State, string[] Events) Train(int microBatch, int rowsThatFit)
    {
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", "tiny.json"), ["steps=6", $"micro_batch={microBatch}", "threads=1"]);
        using var engine = (OnnxTrainingEngine)TrainingEngines.Open(config, config.GraphsFor(new(microBatch, config.Time)), _folder, null, Path.Combine(_folder, "state"));
        var windows = TinyTraining.Windows(TinyTraining.Tokens(3000));
        string name = $"{microBatch}-{rowsThatFit}", metrics = Path.Combine(_folder, name + ".jsonl");
        using (var log = MetricsLog.Open(metrics, 0))
        {
            var trainer = new Trainer(
                config,
                new TrainerParts(
                    new ScarceEngine(engine, rowsThatFit), new TokenDataset(windows, new EpochOrder(windows.Count, 1), config.GlobalBatch, microBatch),
                    new ValidationSet(windows, microBatch, config.EvaluateTokens), new CheckpointStore(Path.Combine(_folder, name), 1), log, new TestView(_ => { }), TimeProvider.System),
                new TrainingState { ConfigHash = "" });
            Assert.Equal(Outcome.Finished, trainer.Train(default));
            return (TinyTraining.Flat(engine, p => p.Name), trainer.State, Events());
        }

        string[] Events() =>
        [
            .. MetricsLog.Lines(metrics).Where(l => l.TryGetProperty("event", out var kind) && kind.GetString() == "out of memory").Select(l => l.GetProperty("message").GetString()!),
        ];
    }

    private sealed class ScarceEngine(OnnxTrainingEngine engine, int rowsThatFit) : ITrainingEngine
    {
        public TrainingShape? Pieces => engine.Pieces;

        public float Accumulate(MicroBatch batch, bool reset, float lossScale)
        {
            float loss = engine.Accumulate(batch, reset, lossScale);
            return engine.Pieces!.Batch <= rowsThatFit ? loss : throw new ModelRuntimeException("Failed to allocate memory for requested buffer of size 1234");
        }

        public float Update(double learningRate, long update) => engine.Update(learningRate, update);

        public ReadOnlySpan<float> Evaluate(MicroBatch batch) => engine.Evaluate(batch);

        public void Reshape(TrainingShape pieces) => engine.Reshape(pieces);

        public void Save(string folder) => engine.Save(folder);

        public void Load(string folder) => engine.Load(folder);

        public void Dispose()
        {
        }
    }
}
