using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tools.Quantization;

/// <summary>Measures on a device what the 8-bit weights of a package gain or cost against the same weights as floats, and writes it into the manifest.</summary>
internal sealed class DeviceSpeed(Device device, int threads, TimeProvider time)
{
    private const int Rounds = 3, Prompt = 128, Steps = 64;

    /// <summary>How fast a package is with quantized weights, or with floats; a test says so instead of measuring.</summary>
    internal Func<ModelPackage, bool, Speed>? Measured { get; init; }

    /// <summary>What was measured on the same provider before is replaced.</summary>
    /// <exception cref="ToolException">The package is not quantized.</exception>
    public SpeedReport Record(string folder)
    {
        var package = ModelPackage.Open(folder);
        if (QuantizationReport.Parse(package.Quantization) is not { } report) throw new ToolException($"{folder} is not quantized: there is nothing to compare.");
        var speed = Compare(package);
        report = report with { Speed = [.. report.Speed.Where(s => s.Provider != speed.Provider), speed] };
        (package.Manifest with { Quantization = report.ToJson() }).Seal(folder);
        return speed;
    }

    private SpeedReport Compare(ModelPackage package)
    {
        var measure = Measured ?? Measure;
        var (wide, quantized) = (measure(package, false), measure(package, true));
        return new()
        {
            Provider = device.Provider,
            Threads = threads > 0 ? threads : Environment.ProcessorCount,
            FloatPrefill = wide.Prefill,
            QuantizedPrefill = quantized.Prefill,
            FloatDecode = wide.Decode,
            QuantizedDecode = quantized.Decode,
        };
    }

    /// <summary>The fastest of a few rounds, one sequence.</summary>
    private Speed Measure(ModelPackage package, bool quantizedWeights)
    {
        int length = Math.Min(package.Config.MaxPositions, Prompt + Steps), prompt = length * 2 / 3;
        using var session = new GenerationSession(package, 1, length, new SessionSettings { Device = device, Threads = threads, QuantizedWeights = quantizedWeights });
        int[] tokens = [.. Enumerable.Range(0, length).Select(i => i * 37 % package.Config.VocabularySize)];
        var rounds = Enumerable.Range(0, Rounds + 1).Select(_ => Once(session, tokens, prompt)).Skip(1).ToList();
        return new(rounds.Max(s => s.Prefill), rounds.Max(s => s.Decode));
    }

    private Speed Once(GenerationSession session, int[] tokens, int prompt)
    {
        long start = time.GetTimestamp();
        session.Prefill(0, tokens.AsSpan(0, prompt), 0);
        var prefill = time.GetElapsedTime(start);
        start = time.GetTimestamp();
        for (int i = prompt; i < tokens.Length; i++) session.Decode([tokens[i]], [i]);
        return new(prompt / prefill.TotalSeconds, (tokens.Length - prompt) / time.GetElapsedTime(start).TotalSeconds);
    }
}
