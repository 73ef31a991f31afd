using System.Globalization;
using System.Text.Json;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Training.Progress;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Report;

/// <summary>What quantizing the run's model cost and gained, as the package's manifest has it on record.</summary>
internal static class QuantizationTable
{
    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private sealed record Cost(int Bits, int Block, long FloatBytes, long QuantizedBytes, Quality? Quality, Speed[]? Speed);

    private sealed record Quality(
        long Tokens, double FloatPerplexity, double FloatPerplexityError, double QuantizedPerplexity, double QuantizedPerplexityError, double PerplexityLoss, double MaxPerplexityLoss,
        double MeanDivergence, double Top1Agreement, double? FloatBitsPerByte, double? QuantizedBitsPerByte);

    private sealed record Speed(string Provider, int Threads, double FloatPrefill, double QuantizedPrefill, double FloatDecode, double QuantizedDecode);

    /// <summary>A section; nothing where there is no package.</summary>
    /// <exception cref="TrainingException">The package is not quantized, or comes from another run.</exception>
    public static string Html(RunFolder folder, string? package)
    {
        if (package is null) return "";
        var manifest = PackageManifest.Read(package);
        if (manifest.Source?.Run != folder.Name) throw new TrainingException($"'{package}' comes from {manifest.Source?.Run ?? "nowhere on record"}, not from the run {folder.Name}.");
        if (manifest.Quantization.Deserialize<Cost>(Format) is not { } cost) throw new TrainingException($"'{package}' is not quantized; give the folder that tools quantize wrote.");
        var title = $"Quantization: INT{cost.Bits}, blocks of {cost.Block}, of step {manifest.Source.Step}";
        return ReportTables.Section(title, ReportTables.Table(["", "float32", "quantized", "quantized / float32"], Rows(cost)));
    }

    private static IEnumerable<string[]> Rows(Cost c) =>
        [Ratio("size, MB", c.FloatBytes / 1e6, c.QuantizedBytes / 1e6), .. c.Quality is { } q ? Rows(q) : [], .. (c.Speed ?? []).SelectMany(Rows)];

    private static IEnumerable<string[]> Rows(Quality q)
    {
        yield return
        [
            $"perplexity, {q.Tokens.ToString("#,0", CultureInfo.InvariantCulture)} tokens", $"{Number(q.FloatPerplexity)} ± {Number(q.FloatPerplexityError)}",
            $"{Number(q.QuantizedPerplexity)} ± {Number(q.QuantizedPerplexityError)}", $"{Percent(q.PerplexityLoss, "+0.000;−0.000")}, at most {Percent(q.MaxPerplexityLoss, "0.0")} allowed",
        ];
        if (q is { FloatBitsPerByte: { } bits, QuantizedBitsPerByte: { } quantized }) yield return Ratio("bits per byte", bits, quantized);
        yield return ["same likeliest token", "", Percent(q.Top1Agreement, "0.00"), ""];
        yield return ["mean divergence (Kullback-Leibler), nats", "", q.MeanDivergence.ToString("G3", CultureInfo.InvariantCulture), ""];
    }

    private static IEnumerable<string[]> Rows(Speed s) =>
    [
        Ratio($"prefill, tokens/s ({s.Provider}, {s.Threads} threads)", s.FloatPrefill, s.QuantizedPrefill),
        Ratio($"decode, tokens/s ({s.Provider}, {s.Threads} threads)", s.FloatDecode, s.QuantizedDecode),
    ];

    private static string[] Ratio(string name, double before, double after) => [name, Number(before), Number(after), Numbers.Text(after / before, "0.00")];

    private static string Number(double value) => value.ToString("G5", CultureInfo.InvariantCulture);

    private static string Percent(double share, string format) => Numbers.Text(share * 100, format) + " %";
}
