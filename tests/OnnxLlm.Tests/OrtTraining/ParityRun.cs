using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Training;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.OrtTraining;

/// <summary>How far the two engines are apart, each the largest over all steps or tensors, relative to our own engine's value.</summary>
internal sealed record Difference(double Loss, double Norm, double Evaluation, double Parameter, string Worst)
{
    public double Largest => new[] { Loss, Norm, Evaluation, Parameter }.Max();
}

/// <summary>
/// Twenty steps of two micro-batches, the second of them with fewer tokens, in both engines: warm-up and decay of the learning rate, clipping that
/// takes hold at every step, and a frozen tensor.
/// </summary>
internal sealed class ParityRun : IDisposable
{
    public const int Steps = 20;

    private readonly float[] _rates;

    private readonly string _folder = Directory.CreateTempSubdirectory("parity-").FullName;
    private readonly TrainingSetup _setup;
    private readonly Initializer _fresh;
    private readonly OnnxTrainingEngine _ours;
    private readonly OrtTrainingEngine _genuine;
    private readonly GenuineSession _session;
    private readonly TokenWindows _windows;

    public ParityRun(ModelConfig model, OptimizerSettings optimizer, float learningRate, string frozen)
    {
        _rates = [.. Enumerable.Range(0, Steps).Select(i => learningRate * (i < 4 ? (i + 1) / 4f : 1 - (i - 4) / 20f))];
        _setup = new TrainingSetup { Model = model, Shape = new(2, Math.Min(model.MaxPositions, 12)), Optimizer = optimizer, Frozen = [frozen] };

        // Large enough that attention is far from uniform and every part shows in the loss.
        _fresh = new Initializer(model with { InitializerRange = 0.2 }, seed: 3);
        string folder = Path.Combine(_folder, "artifacts");
        TrainingFolder.WriteOrtTraining(folder, _setup, _fresh.Source(), _rates);
        var graphs = TrainingGraphs.Create(_setup);
        _ours = new OnnxTrainingEngine(graphs, _setup.Shape, new SessionSettings { Threads = 1, Spinning = false });
        _ours.Tensors.Initialize(_fresh);
        _session = new GenuineSession(folder);
        _genuine = new OrtTrainingEngine(_ => _session, folder, _setup);
        var tokens = TinyTraining.Tokens(2 * Steps * _setup.Shape.Time * 2).Select(t => t % model.VocabularySize).ToArray();
        _windows = new(tokens.Length, (offset, ids) => tokens.AsSpan((int)offset, ids.Length).CopyTo(ids), _setup.Shape.Time);
    }

    /// <summary>Loss of the first and the last step, in our engine.</summary>
    public (double First, double Last) Losses { get; private set; }

    /// <summary>Smallest norm before clipping, over the steps.</summary>
    public double SmallestNorm { get; private set; } = double.PositiveInfinity;

    public Difference Run()
    {
        double loss = 0, norm = 0, evaluation = Evaluate();
        for (int step = 1; step <= Steps; step++)
        {
            var (ours, genuine) = (Step(_ours, step), Step(_genuine, step));
            loss = Math.Max(loss, Relative(genuine.Loss, ours.Loss));
            norm = Math.Max(norm, Relative(genuine.Norm, ours.Norm));
            SmallestNorm = Math.Min(SmallestNorm, ours.Norm);
            Losses = (step == 1 ? ours.Loss : Losses.First, ours.Loss);
        }
        Assert.Equal(_rates, _session.LearningRates);
        var (parameter, worst) = Parameters();
        return new(loss, norm, Math.Max(evaluation, Evaluate()), parameter, worst);
    }

    public void Dispose()
    {
        _ours.Dispose();
        _genuine.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private (double Loss, double Norm) Step(ITrainingEngine engine, int step)
    {
        MicroBatch[] batches = [Batch(2 * step - 2), WithoutHalf(Batch(2 * step - 1))];
        float scale = 1f / batches.Sum(b => b.ValidTokens);
        double loss = batches.Index().Sum(b => (double)engine.Accumulate(b.Item, reset: b.Index == 0, scale));
        return (loss, engine.Update(_rates[step - 1], step));
    }

    private MicroBatch Batch(int index) => TokenDataset.Pack(_windows, 2, row => (2 * index + row, row));

    /// <summary>The labels of the second sequence do not count.</summary>
    private static MicroBatch WithoutHalf(MicroBatch batch)
    {
        batch.Labels.AsSpan(batch.Labels.Length / 2).Fill(BatchRow.Ignored);
        return batch with { ValidTokens = batch.Labels.Length / 2 };
    }

    private double Evaluate()
    {
        var batch = WithoutHalf(Batch(0));
        float[] ours = _ours.Evaluate(batch).ToArray(), genuine = _genuine.Evaluate(batch).ToArray();
        return Distance(genuine, ours);
    }

    private (double Largest, string Worst) Parameters()
    {
        _genuine.Save(_folder);
        using var saved = Safetensors.Open(Path.Combine(_folder, PackageManifest.WeightsFile));
        foreach (var p in _setup.Parameters())
            Assert.True(p.Trainable != _fresh.Values(p).As<float>().SequenceEqual(Values(saved, p)), p.Name);
        return _setup.Parameters().Select(p => (Distance(Values(saved, p), _ours.Tensors[p.Name].Span<float>()), p.Name)).Max();
    }

    private static float[] Values(SafetensorsFile file, ParameterInfo p)
    {
        using var buffer = TensorBuffer.Zeros(ElementType.Float, p.Shape.AsSpan());
        file.Read(p.Name, buffer);
        return buffer.Span<float>().ToArray();
    }

    private static double Relative(double value, double reference) => Math.Abs(value - reference) / Math.Abs(reference);

    /// <summary>‖a − b‖ / ‖b‖.</summary>
    private static double Distance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Assert.Equal(b.Length, a.Length);
        double difference = 0, norm = 0;
        for (int i = 0; i < a.Length; i++) (difference, norm) = (difference + Math.Pow(a[i] - b[i], 2), norm + (double)b[i] * b[i]);
        return difference == 0 ? 0 : Math.Sqrt(difference / norm);
    }
}
