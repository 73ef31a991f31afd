using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>Whole training steps of a model: forward, backward, clipping, update. The peer (torch_gpt2.py) writes the same.</summary>
/// <param name="Name">Who was measured.</param>
/// <param name="StepMilliseconds">Median.</param>
/// <param name="TokensPerSecond">At the median.</param>
/// <param name="FlopsPerToken">The model's arithmetic, three times the forward pass's.</param>
/// <param name="MemoryMb">Of the device, in use at the end; null where it cannot be read.</param>
/// <param name="FirstLoss">Before the first update.</param>
/// <param name="LastLoss">After all of them.</param>
internal sealed record SpeedResult(string Name, double StepMilliseconds, double TokensPerSecond, double FlopsPerToken, double? MemoryMb, double FirstLoss, double LastLoss);

/// <param name="device">What trains. On the CPU 16 bits are float32 that is rounded.</param>
/// <param name="precision">Of products and activations.</param>
/// <param name="work">The model and its batch.</param>
internal sealed class TrainingSpeed(Device device, Precision precision, Workload work)
{
    private const int WarmUp = 5;

    /// <summary>Activations that are computed again for the backward pass.</summary>
    public ActivationCheckpointing Checkpointing { get; init; }

    public SpeedResult Measure(int steps, TimeProvider time)
    {
        var graphs = Graphs();
        using var engine = Engine(graphs, capture: true);
        var data = Data();
        var (losses, milliseconds) = (new List<double>(), new List<double>());
        for (int step = 1; step <= WarmUp + steps; step++)
        {
            long begun = time.GetTimestamp();
            losses.Add(Step(engine, data, step));
            if (step > WarmUp) milliseconds.Add(time.GetElapsedTime(begun).TotalMilliseconds);
        }
        double median = milliseconds.Order().ElementAt(milliseconds.Count / 2);
        string recomputed = Checkpointing == ActivationCheckpointing.None ? "" : ", activations computed again";
        return new($"OnnxLlm, ONNX Runtime {OrtSession.RuntimeVersion}{recomputed}", median, work.Batch * work.Time / median * 1e3,
            FlopCount.PerToken(graphs.Evaluation, (long)work.Batch * work.Time), GpuMonitor.Open(device)?.Read().MemoryBytes / 1e6, losses[0], losses[^1]);
    }

    /// <summary>One step that is not captured, between the marks at which a profiler of kernels begins and ends.</summary>
    public void RunOnce()
    {
        using var engine = Engine(Graphs(), capture: false);
        var data = Data();
        Step(engine, data, 1);
        using (ProfilerRange.Begin()) Step(engine, data, 2);
    }

    private MicroBatch Data() => MadeUpLanguage.Batch(work.Batch, work.Time, work.Model.VocabularySize, seed: 1);

    private static double Step(OnnxTrainingEngine engine, MicroBatch data, int step)
    {
        double loss = engine.Accumulate(data, reset: true, 1f / data.ValidTokens);
        engine.Update(3e-4, step);
        return loss;
    }

    private TrainingGraphs Graphs() => TrainingGraphs.Create(
        work.Model, new(work.Batch, work.Time), new(),
        new StepSettings { Target = GraphTarget.Cuda, Precision = precision, Rounded = !device.IsCuda, Checkpointing = Checkpointing });

    private OnnxTrainingEngine Engine(TrainingGraphs graphs, bool capture)
    {
        var engine = new OnnxTrainingEngine(graphs, new(work.Batch, work.Time), new SessionSettings { Device = device, Capture = capture }) { Scaler = graphs.HasLossScale ? new LossScaler(new()) : null };
        engine.Tensors.Initialize(new(work.Model, seed: 1));
        return engine;
    }
}
