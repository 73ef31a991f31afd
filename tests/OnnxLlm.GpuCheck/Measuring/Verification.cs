using System.Globalization;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>
/// A few updates of small models on the device, beside the same in float32 on the CPU with our kernels: equal losses and weights show that placement,
/// kernels, in-place updates and the replay of captured graphs are right.
/// </summary>
internal static class Verification
{
    private const int Updates = 5, Rows = 4, Time = 64, Vocabulary = 128;

    private static readonly ModelConfig Llama = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = Vocabulary,
        MaxPositions = Time,
        Width = 128,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        FeedForward = 256,
    };

    /// <summary>
    /// How far the loss may be off, relative. Rounding of float32 in another order, and of 16 bits (2^-9 and 2^-12 of each value, some sixty one after the
    /// other, most of which cancel out in the mean over 256 tokens).
    /// </summary>
    private static readonly Dictionary<Precision, double> Tolerance = new() { [Precision.Fp32] = 1e-4, [Precision.Fp16] = 5e-3, [Precision.Bf16] = 2e-2 };

    public static bool Run(Device device, TextWriter output)
    {
        bool all = true;
        foreach (var config in (ModelConfig[])[Llama with { Family = ModelFamily.Gpt2, KeyValueHeads = 4, TiedEmbeddings = true }, Llama, Llama with { Family = ModelFamily.Qwen2 }])
            foreach (var (precision, tolerance) in Tolerance) all &= Compare(config, precision, tolerance, device, output);
        return all;
    }

    private static bool Compare(ModelConfig config, Precision precision, double tolerance, Device device, TextWriter output)
    {
        double[] expected = Losses(config, new StepSettings(), new SessionSettings());
        double[] losses = Losses(config, new StepSettings { Target = GraphTarget.Cuda, Precision = precision, Rounded = !device.IsCuda },
            new SessionSettings { Device = device, Capture = true, ReducedProducts = false });
        double error = expected.Zip(losses, (e, l) => Math.Abs(l - e) / e).Max();
        bool holds = error <= tolerance;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"verify {config.ModelType,-6} {precision.ToString().ToLowerInvariant(),-5} {device,-7} loss {expected[0]:F4} to {expected[^1]:F4}, differs by {error:E1}, allowed {tolerance:E0}: {(holds ? "ok" : "WRONG")}"));
        return holds;
    }

    /// <summary>Two micro-batches an update, so that the second adds to the first.</summary>
    private static double[] Losses(ModelConfig config, StepSettings step, SessionSettings settings)
    {
        var shape = new TrainingShape(Rows, Time);
        var graphs = TrainingGraphs.Create(config, shape, new OptimizerSettings(), step);
        using var engine = new OnnxTrainingEngine(graphs, shape, settings) { Scaler = graphs.HasLossScale ? new LossScaler(new()) : null };
        engine.Tensors.Initialize(new Initializer(config, seed: 3));
        double[] losses = new double[Updates];
        for (int update = 0; update < Updates; update++)
        {
            for (int micro = 0; micro < 2; micro++)
                losses[update] += engine.Accumulate(MadeUpLanguage.Batch(Rows, Time, Vocabulary, seed: 2 * update + micro), reset: micro == 0, 1f / (2 * Rows * Time));
            engine.Update(1e-2, update + 1);
        }
        return losses;
    }
}
