using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>The bare loop: forward pass for one token of each sequence, scores to the host.</summary>
/// <param name="Weights">float16 or INT8.</param>
/// <param name="Batch">Sequences.</param>
/// <param name="TokensPerSecond">Over all sequences, from the median step.</param>
/// <param name="GigabytesPerSecond">What a step must read at least (all weights, every sequence's cache), in its time: to be compared with the card's bandwidth.</param>
internal sealed record DecodeResult(string Weights, int Batch, double TokensPerSecond, double GigabytesPerSecond);

internal static class DecodeSpeed
{
    private const int Length = 1024, Prompt = 128;

    public static IEnumerable<DecodeResult> Measure(Device device, int layers, int steps, TimeProvider time)
    {
        var config = TrainingSpeed.Gpt2 with { Layers = layers };
        string folder = Directory.CreateTempSubdirectory("decode-").FullName;
        try
        {
            var whole = RandomPackage.Write(Path.Combine(folder, "float"), config);
            foreach (var (weights, bytes, package) in new[] { ("float16", 2.0, whole), ("INT8", 1.0 + 2.0 / 32, RandomPackage.Quantize(whole, Path.Combine(folder, "int8"))) })
                foreach (var result in Measure(package, weights, bytes * whole.Manifest.ParameterCount, device, steps, time)) yield return result;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static IEnumerable<DecodeResult> Measure(ModelPackage package, string weights, double weightBytes, Device device, int steps, TimeProvider time)
    {
        using var session = new GenerationSession(package, slots: 64, Length, new SessionSettings { Device = device });
        int[] prompt = [.. Enumerable.Range(0, Prompt).Select(i => i * 37 % package.Config.VocabularySize)];
        for (int slot = 0; slot < session.Slots; slot++) session.Prefill(slot, prompt, 0);
        foreach (int batch in (int[])[1, 16, 64])
        {
            double median = Median(session, batch, steps, time);
            double read = weightBytes + (double)batch * session.BytesPerPosition * (Prompt + steps / 2);
            yield return new(weights, batch, batch / median, read / median / 1e9);
        }
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
