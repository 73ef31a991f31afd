using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tools.Quantization;

/// <summary>Measures on a device what the 8-bit weights of a package gain or cost against the same weights as floats, and writes it into the manifest.</summary>
internal sealed class DeviceSpeed(Device device, int threads, TimeProvider time)
{
    private const int Rounds = 3, Prompt = 128, Steps = 64;

    /// <summary>One sequence is bound by memory, sixteen less so; a GPU may answer differently for the two. A CPU is measured with one, as when it quantized.</summary>
    private readonly int[] _sequences = device.IsCuda ? [1, 16] : [1];

    /// <summary>How fast a package is with quantized weights, or with floats, and so many sequences; a test says so instead of measuring.</summary>
    internal Func<ModelPackage, bool, int, Speed>? Measured { get; init; }

    /// <summary>What was measured on the same provider, or GPU, before is replaced.</summary>
    /// <exception cref="ToolException">The package is not quantized.</exception>
    public IReadOnlyList<SpeedReport> Record(string folder)
    {
        var package = ModelPackage.Open(folder);
        if (QuantizationReport.Parse(package.Quantization) is not { } report) throw new ToolException($"{folder} is not quantized: there is nothing to compare.");
        var measured = Measure(package);
        report = report with { Speed = [.. report.Speed.Where(s => s.Provider != device.Provider || s.Card != device.Card), .. measured] };
        (package.Manifest with { Quantization = report.ToJson() }).Seal(folder);
        return measured;
    }

    /// <summary>Both forms of a package's weights, with each number of sequences.</summary>
    public IReadOnlyList<SpeedReport> Measure(ModelPackage package) => [.. _sequences.Select(sequences => Compare(package, sequences))];

    private SpeedReport Compare(ModelPackage package, int sequences)
    {
        var measure = Measured ?? Measure;
        var (wide, quantized) = (measure(package, false, sequences), measure(package, true, sequences));
        return new()
        {
            Provider = device.Provider,
            Card = device.Card,
            Sequences = sequences,
            Threads = threads > 0 ? threads : Environment.ProcessorCount,
            FloatPrefill = wide.Prefill,
            QuantizedPrefill = quantized.Prefill,
            FloatDecode = wide.Decode,
            QuantizedDecode = quantized.Decode,
        };
    }

    /// <summary>The fastest of a few rounds after a first, in which a GPU records.</summary>
    private Speed Measure(ModelPackage package, bool quantizedWeights, int sequences)
    {
        int length = Math.Min(package.Config.MaxPositions, Prompt + Steps), prompt = length * 2 / 3;
        using var session = new GenerationSession(package, sequences, length, new SessionSettings { Device = device, Threads = threads, QuantizedWeights = quantizedWeights });
        int[] tokens = [.. Enumerable.Range(0, length).Select(i => i * 37 % package.Config.VocabularySize)];
        var rounds = Enumerable.Range(0, Rounds + 1).Select(_ => Once(session, tokens, prompt)).Skip(1).ToList();
        return new(rounds.Max(s => s.Prefill), rounds.Max(s => s.Decode));
    }

    private Speed Once(GenerationSession session, int[] tokens, int prompt)
    {
        long start = time.GetTimestamp();
        for (int slot = 0; slot < session.Slots; slot++) session.Prefill(slot, tokens.AsSpan(0, prompt), 0);
        var prefill = time.GetElapsedTime(start);
        start = time.GetTimestamp();
        for (int i = prompt; i < tokens.Length; i++) session.Decode([.. Enumerable.Repeat(tokens[i], session.Slots)], [.. Enumerable.Repeat(i, session.Slots)]);
        return new(session.Slots * prompt / prefill.TotalSeconds, session.Slots * (tokens.Length - prompt) / time.GetElapsedTime(start).TotalSeconds);
    }
}
