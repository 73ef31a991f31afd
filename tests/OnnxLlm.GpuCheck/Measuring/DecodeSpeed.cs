using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>The bare loop: forward pass for one token of each sequence, the likeliest tokens to the host.</summary>
/// <param name="Weights">float16, bfloat16 (float32 on the CPU), INT8, or INT8 with a cache of bytes.</param>
/// <param name="Batch">Sequences.</param>
/// <param name="TokensPerSecond">Over all sequences, from the median step.</param>
/// <param name="GigabytesPerSecond">What a step must read at least (all weights, every sequence's cache), in its time: to be compared with the card's bandwidth.</param>
internal sealed record DecodeResult(string Weights, int Batch, double TokensPerSecond, double GigabytesPerSecond);

internal static class DecodeSpeed
{
    private const int Prompt = 128;

    public static IEnumerable<DecodeResult> Measure(Device device, ModelConfig config, int steps, TimeProvider time)
    {
        using var folder = new ScratchFolder();
        var whole = RandomPackage.Write(folder.PathOf("float"), config);
        var quantized = RandomPackage.Quantize(whole, folder.PathOf("int8"));
        double wide = device.IsCuda ? 2 : 4, narrow = 1 + wide / 32;
        var half = new SessionSettings { Device = device };
        foreach (var (weights, size, package, settings) in new[]
        {
            (device.IsCuda ? "float16" : "float32", wide, whole, half), ("bfloat16", wide, whole, half with { ActivationType = ElementType.BFloat16 }),
            ("INT8", narrow, quantized, half), ("INT8, cache INT8", narrow, RandomPackage.QuantizeCache(quantized, folder.PathOf("both")), half),
        })
            if (device.IsCuda || settings == half)
                foreach (var result in Measure(package, weights, size * whole.Manifest.ParameterCount, settings, steps, time)) yield return result;
    }

    /// <summary>Tokens per second of a package with so many sequences.</summary>
    public static double Measure(ModelPackage package, Device device, int batch, int steps, TimeProvider time)
    {
        using var session = Filled(package, new() { Device = device }, batch);
        return batch / Median(session, batch, steps, time);
    }

    private static IEnumerable<DecodeResult> Measure(ModelPackage package, string weights, double weightBytes, SessionSettings settings, int steps, TimeProvider time)
    {
        using var session = Filled(package, settings, slots: 64);
        foreach (int batch in (int[])[1, 16, 64])
        {
            double median = Median(session, batch, steps, time);
            double read = weightBytes + (double)batch * session.BytesPerPosition * (Prompt + steps / 2);
            yield return new(weights, batch, batch / median, read / median / 1e9);
        }
    }

    private static GenerationSession Filled(ModelPackage package, SessionSettings settings, int slots)
    {
        var session = new GenerationSession(package, slots, package.Config.MaxPositions, settings);
        int[] tokens = [.. Enumerable.Range(0, Prompt).Select(i => i * 37 % package.Config.VocabularySize)];
        for (int slot = 0; slot < slots; slot++) session.Prefill(slot, tokens, 0);
        return session;
    }

    /// <summary>Seconds of a step. Positions written by one batch are written over by the next.</summary>
    private static double Median(GenerationSession session, int batch, int steps, TimeProvider time)
    {
        int[] tokens = new int[batch], pasts = [.. Enumerable.Repeat(Prompt, batch)];
        double[] seconds = new double[steps];
        for (int step = 0; step < steps; step++)
        {
            long begun = time.GetTimestamp();
            session.DecodeBest(tokens, pasts).CopyTo(tokens);
            seconds[step] = time.GetElapsedTime(begun).TotalSeconds;
            for (int i = 0; i < batch; i++) pasts[i]++;
        }
        return seconds.Order().ElementAt(steps / 2);
    }
}
