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
    private const int Updates = 5, Rows = 4, Time = 64, Vocabulary = 128, Answering = 512;
    private const double LearningRate = 1e-2;

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

    /// <summary>Four heads of 64 over one: attention reads a cache of bytes where it lies.</summary>
    private static readonly ModelConfig ReadInBytes = Llama with { Family = ModelFamily.Qwen2, VocabularySize = Answering, Width = 256, KeyValueHeads = 1 };

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
        all = all & Overflow(device, output) & Resume(device, output);
        foreach (var config in (ModelConfig[])[Llama with { Family = ModelFamily.Gpt2, KeyValueHeads = 4, TiedEmbeddings = true, VocabularySize = Answering }, Llama with { VocabularySize = Answering }, ReadInBytes])
            all &= GenerationCheck.Run(config, device, output);
        output.WriteLine(all ? "verify: all hold" : "verify: something is WRONG, see above");
        return all;
    }

    /// <summary>Gradients that are not finite, as float16 gives them where the loss scale is too large: they halve it and change nothing else.</summary>
    private static bool Overflow(Device device, TextWriter output)
    {
        using var engine = Engine(Llama, Mixed(Precision.Fp16, device), Exact(device));
        Train(engine, 0, 1);
        float[][] before = Weights(engine);
        float scale = engine.Scaler!.Scale;
        engine.Accumulate(Batch(0), reset: true, float.PositiveInfinity);
        engine.Update(1e-2, 2);
        bool holds = engine.Scaler.Scale == scale / 2 && Difference(before, Weights(engine)) == 0;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"verify overflow     {device,-7} loss scale {scale:G} to {engine.Scaler.Scale:G}, weights changed by {Difference(before, Weights(engine)):E1}: {(holds ? "ok" : "WRONG")}"));
        return holds;
    }

    /// <summary>Training from a checkpoint beside training straight on. On a GPU rows are added in no fixed order, so how far they are apart is told and small, not 0.</summary>
    private static bool Resume(Device device, TextWriter output)
    {
        using var folder = new ScratchFolder();
        string checkpoint = Directory.CreateDirectory(folder.PathOf("checkpoint")).FullName;
        using var straight = Engine(Llama, Mixed(Precision.Bf16, device), Exact(device));
        Train(straight, 0, 2);
        straight.Save(checkpoint);
        Train(straight, 2, Updates - 2);
        using var resumed = Engine(Llama, Mixed(Precision.Bf16, device), Exact(device));
        resumed.Load(checkpoint);
        Train(resumed, 2, Updates - 2);
        double difference = Difference(Weights(straight), Weights(resumed));

        // Adam moves a weight by at most about the learning rate in each update, in whatever direction.
        bool holds = difference <= (device.IsCuda ? 2 * LearningRate * (Updates - 2) : 0);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"verify resume       {device,-7} weights differ by at most {difference:E1}: {(holds ? "ok" : "WRONG")}"));
        return holds;
    }

    private static bool Compare(ModelConfig config, Precision precision, double tolerance, Device device, TextWriter output)
    {
        double[] expected = Losses(config, new StepSettings(), new SessionSettings());
        double[] losses = Losses(config, Mixed(precision, device), Exact(device));
        double error = expected.Zip(losses, (e, l) => Math.Abs(l - e) / e).Max();
        bool holds = error <= tolerance;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"verify {config.ModelType,-6} {precision.ToString().ToLowerInvariant(),-5} {device,-7} loss {expected[0]:F4} to {expected[^1]:F4}, differs by {error:E1}, allowed {tolerance:E0}: {(holds ? "ok" : "WRONG")}"));
        return holds;
    }

    private static double[] Losses(ModelConfig config, StepSettings step, SessionSettings settings)
    {
        using var engine = Engine(config, step, settings);
        return Train(engine, 0, Updates);
    }

    private static StepSettings Mixed(Precision precision, Device device) => new() { Target = GraphTarget.Cuda, Precision = precision, Rounded = !device.IsCuda };

    private static SessionSettings Exact(Device device) => new() { Device = device, Capture = true, ReducedProducts = false };

    private static OnnxTrainingEngine Engine(ModelConfig config, StepSettings step, SessionSettings settings)
    {
        var shape = new TrainingShape(Rows, Time);
        var graphs = TrainingGraphs.Create(config, shape, new OptimizerSettings(), step);
        var engine = new OnnxTrainingEngine(graphs, shape, settings) { Scaler = graphs.HasLossScale ? new LossScaler(new()) : null };
        engine.Tensors.Initialize(new Initializer(config, seed: 3));
        return engine;
    }

    /// <summary>The loss of each update. Two micro-batches an update, so that the second adds to the first.</summary>
    private static double[] Train(OnnxTrainingEngine engine, int from, int updates)
    {
        double[] losses = new double[updates];
        for (int update = 0; update < updates; update++)
        {
            for (int micro = 0; micro < 2; micro++)
                losses[update] += engine.Accumulate(Batch(2 * (from + update) + micro), reset: micro == 0, 1f / (2 * Rows * Time));
            engine.Update(LearningRate, from + update + 1);
        }
        return losses;
    }

    private static MicroBatch Batch(int seed) => MadeUpLanguage.Batch(Rows, Time, Vocabulary, seed);

    private static float[][] Weights(OnnxTrainingEngine engine) => [.. ModelParameters.Of(Llama).Select(p => OnHost(engine.Tensors[p.Name]))];

    private static float[] OnHost(TensorBuffer buffer)
    {
        using var host = TensorBuffer.Zeros(buffer.Type, [.. buffer.Shape]);
        host.CopyFrom(buffer);
        return host.Span<float>().ToArray();
    }

    private static double Difference(float[][] a, float[][] b) => a.Zip(b, (x, y) => x.Zip(y, (p, q) => (double)Math.Abs(p - q)).Max()).Max();
}
