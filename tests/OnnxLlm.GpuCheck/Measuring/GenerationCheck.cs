using System.Globalization;
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

    private static readonly int[][] Prompts = [[.. Enumerable.Range(0, 17).Select(i => i * 37 % 256)], [9, 8, 7, 6, 5], [.. Enumerable.Range(0, 11).Select(i => i * 11 % 256)]];

    public static bool Run(ModelConfig config, Device device, TextWriter output)
    {
        using var folder = new ScratchFolder();
        var whole = RandomPackage.Write(folder.PathOf("float"), config);
        var quantized = RandomPackage.Quantize(whole, folder.PathOf("int8"));
        return Compare("float", whole, Narrow, device, output)
            & Compare("int8", quantized, Bytes, device, output)
            & Compare("cache", RandomPackage.QuantizeCache(whole, folder.PathOf("cache")), Bytes, device, output)
            & Compare("both", RandomPackage.QuantizeCache(quantized, folder.PathOf("both")), Bytes, device, output);
    }

    private static bool Compare(string form, ModelPackage package, double allowed, Device device, TextWriter output)
    {
        double error = Difference([.. Scores(package, Device.Cpu)], [.. Scores(package, device)]);
        bool holds = error <= allowed;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"verify {package.Config.ModelType,-6} {form,-5} {device,-7} scores of prompts and {Steps} steps differ by {error:E1}, allowed {allowed:E0}: {(holds ? "ok" : "WRONG")}"));
        return holds;
    }

    /// <summary>The largest, in units of the largest score that was expected of the same call. NaN where a score is none.</summary>
    internal static double Difference(float[][] expected, float[][] actual) => Largest(expected.Zip(actual, (e, a) =>
        Largest(e.Zip(a, (x, y) => Math.Abs((double)x - y))) / Largest(e.Select(x => Math.Abs((double)x)))));

    private static double Largest(IEnumerable<double> values) => values.Aggregate(0.0, Math.Max);      // keeps NaN, which Max would leave out

    private static IEnumerable<float[]> Scores(ModelPackage package, Device device)
    {
        using var session = new GenerationSession(package, 3, Length, new SessionSettings { Device = device });
        int[] pasts = [Prompts[0].Length, Prompts[1].Length];
        for (int slot = 0; slot < 2; slot++) yield return session.Prefill(slot, Prompts[slot], 0).ToArray();
        for (int step = 0; step < Steps; step++)
        {
            if (step == Steps / 2)
            {
                yield return session.Prefill(2, Prompts[2], 0).ToArray();
                session.Move(2, 1);
                pasts[1] = Prompts[2].Length;
            }
            yield return session.Decode([(step * 13 + 1) % 256, (step * 29 + 2) % 256], pasts).ToArray();
            for (int slot = 0; slot < 2; slot++) pasts[slot]++;
        }
    }
}
