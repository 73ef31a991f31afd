using System.Globalization;
using System.Numerics.Tensors;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>
/// The scores of models on the device beside those of the CPU with our kernels: prompts of different length, then steps of two sequences together, of which all
/// but the first are replayed; half-way one of them is replaced by a third that came into another slot and was moved.
/// </summary>
internal static class GenerationCheck
{
    private const int Length = 64, Steps = 20;

    /// <summary>
    /// How far scores may be off, of the largest. Float16 is off by 2^-12 of a value at each rounding, of which some sixty follow each other; where weights or cache are bytes,
    /// the CPU rounds operands of products to bytes too, 1/254 of the largest of a block, and some fourteen of those follow each other.
    /// </summary>
    private const double Narrow = 60.0 / 4096, Bytes = 14.0 / 254;

    /// <summary>The same sixty roundings of bfloat16, by 2^-9.</summary>
    private const double Coarse = 60.0 / 512;

    private static readonly int[][] Prompts = [[.. Enumerable.Range(0, 17).Select(i => i * 37 % 256)], [9, 8, 7, 6, 5], [.. Enumerable.Range(0, 11).Select(i => i * 11 % 256)]];

    public static bool Run(ModelConfig config, Device device, TextWriter output)
    {
        using var folder = new ScratchFolder();
        var whole = RandomPackage.Write(folder.PathOf("float"), config);
        var quantized = RandomPackage.Quantize(whole, folder.PathOf("int8"));
        var both = RandomPackage.QuantizeCache(quantized, folder.PathOf("both"));
        return Compare("float", whole, Narrow, device, output)
            & Compare("int8", quantized, Bytes, device, output)
            & Compare("cache", RandomPackage.QuantizeCache(whole, folder.PathOf("cache")), Bytes, device, output)
            & Compare("both", both, Bytes, device, output)
            & Compare("float", whole, Coarse, device, output, ElementType.BFloat16)
            & Compare("both", both, Coarse, device, output, ElementType.BFloat16);
    }

    private static bool Compare(string form, ModelPackage package, double allowed, Device device, TextWriter output, ElementType type = ElementType.Float16)
    {
        var (expected, actual) = (Results(package, Device.Cpu, type).ToList(), Results(package, device, type).ToList());
        double error = Difference([.. expected.Select(r => r.Scores)], [.. actual.Select(r => r.Scores)]);
        int wrong = actual.Count(r => r.Best is { } best && !best.SequenceEqual(BestOf(r.Scores, best.Length)));
        bool holds = error <= allowed && wrong == 0;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"verify {package.Config.ModelType,-6} {form,-5} {device,-7} {(type == ElementType.BFloat16 ? "bf16 " : "")}scores of prompts and {Steps} steps differ by {error:E1}, allowed {allowed:E0}; likeliest tokens wrong in {wrong} steps: {(holds ? "ok" : "WRONG")}"));
        return holds;
    }

    private static int[] BestOf(float[] scores, int rows) => [.. scores.Chunk(scores.Length / rows).Select(row => TensorPrimitives.IndexOfMax(row))];

    /// <summary>The largest, in units of the largest score that was expected of the same call. NaN where a score is none.</summary>
    internal static double Difference(float[][] expected, float[][] actual) => Largest(expected.Zip(actual, (e, a) =>
        Largest(e.Zip(a, (x, y) => Math.Abs((double)x - y))) / Largest(e.Select(x => Math.Abs((double)x)))));

    private static double Largest(IEnumerable<double> values) => values.Aggregate(0.0, Math.Max);      // keeps NaN, which Max would leave out

    /// <summary>The scores of each call, and of a step the likeliest tokens as the device chose them.</summary>
    private static IEnumerable<(float[] Scores, int[]? Best)> Results(ModelPackage package, Device device, ElementType type)
    {
        using var session = new GenerationSession(package, 3, Length, new SessionSettings { Device = device, ActivationType = type });
        int[] pasts = [Prompts[0].Length, Prompts[1].Length];
        for (int slot = 0; slot < 2; slot++) yield return (session.Prefill(slot, Prompts[slot], 0).ToArray(), null);
        for (int step = 0; step < Steps; step++)
        {
            if (step == Steps / 2)
            {
                yield return (session.Prefill(2, Prompts[2], 0).ToArray(), null);
                session.Move(2, 1);
                pasts[1] = Prompts[2].Length;
            }
            int[] best = session.DecodeBest([(step * 13 + 1) % 256, (step * 29 + 2) % 256], pasts).ToArray();
            yield return (session.DecodedScores().ToArray(), best);
            for (int slot = 0; slot < 2; slot++) pasts[slot]++;
        }
    }
}
