using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>The bare loop: forward pass for one token of each sequence, scores to the host.</summary>
/// <param name="Weights">float16 (float32 on the CPU) or INT8.</param>
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
        double bytes = device.IsCuda ? 2 : 4;
        foreach (var (weights, size, package) in new[] { (device.IsCuda ? "float16" : "float32", bytes, whole), ("INT8", 1 + bytes / 32, RandomPackage.Quantize(whole, folder.PathOf("int8"))) })
            foreach (var result in Measure(package, weights, size * whole.Manifest.ParameterCount, device, steps, time)) yield return result;
    }

    /// <summary>Tokens per second of a package with so many sequences.</summary>
    public static double Measure(ModelPackage package, Device device, int batch, int steps, TimeProvider time)
    {
        using var session = Filled(package, device, batch);
        return batch / Median(session, batch, steps, time);
    }

    private static IEnumerable<DecodeResult> Measure(ModelPackage package, string weights, double weightBytes, Device device, int steps, TimeProvider time)
    {
        using var session = Filled(package, device, slots: 64);
        foreach (int batch in (int[])[1, 16, 64])
        {
            double median = Median(session, batch, steps, time);
            double read = weightBytes + (double)batch * session.BytesPerPosition * (Prompt + steps / 2);
            yield return new(weights, batch, batch / median, read / median / 1e9);
        }
    }

    private static GenerationSession Filled(ModelPackage package, Device device, int slots)
    {
        var session = new GenerationSession(package, slots, package.Config.MaxPositions, new SessionSettings { Device = device });
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
            session.Decode(tokens, pasts);
            seconds[step] = time.GetElapsedTime(begun).TotalSeconds;
            for (int i = 0; i < batch; i++) pasts[i]++;
        }
        return seconds.Order().ElementAt(steps / 2);
    }
}
