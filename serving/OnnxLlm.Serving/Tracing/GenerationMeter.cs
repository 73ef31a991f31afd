using System.Diagnostics;
using System.Diagnostics.Metrics;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Tracing;

/// <summary>The histograms that OpenTelemetry's conventions for generative models have for servers, under their names and with the bounds that they advise. In seconds.</summary>
internal static class GenerationMeter
{
    public const string Name = "OnnxLlm.Serving";

    private static readonly Meter Meter = new(Name);

    private static readonly Histogram<double> Duration = Seconds(
        "gen_ai.server.request.duration", "Of a request, until its last token or its failure.", [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]);

    private static readonly Histogram<double> FirstToken = Seconds(
        "gen_ai.server.time_to_first_token", "From arrival to the first token of a choice.", [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);

    private static readonly Histogram<double> PerToken = Seconds(
        "gen_ai.server.time_per_output_token", "Mean of a choice, without its first token.", [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]);

    /// <summary>Somebody wants them.</summary>
    public static bool HasListeners => Duration.Enabled;

    public static void Request(double seconds, in TagList tags) => Duration.Record(seconds, tags);

    public static void Choice(SequenceTimes times, TimeProvider time, in TagList tags)
    {
        if (times.Tokens == 0) return;
        FirstToken.Record(time.GetElapsedTime(times.Arrived, times.FirstToken).TotalSeconds, tags);
        if (times.Tokens > 1) PerToken.Record(time.GetElapsedTime(times.FirstToken, times.LastToken).TotalSeconds / (times.Tokens - 1), tags);
    }

    private static Histogram<double> Seconds(string name, string what, IReadOnlyList<double> bounds) =>
        Meter.CreateHistogram(name, "s", what, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });
}
