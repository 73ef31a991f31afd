using OnnxLlm.Benchmarks;
using OnnxLlm.Benchmarks.Arrivals;
using OnnxLlm.Benchmarks.Soak;

namespace OnnxLlm.Tests.Benchmarks;

public sealed class SoakMeasuringTests
{
    [Fact]
    public void Trend_OfALine_IsItsGrowthWithoutNoise()
    {
        Trend trend = Trend.Of([.. Enumerable.Range(0, 120).Select(i => 100 + 0.5 * i)]);
        Assert.Equal(60, trend.Growth, 9);
        Assert.Equal(0, trend.Noise, 9);
    }

    /// <summary>Without growth the line's slope stays within three of its standard errors all but once in a hundred times: t with ten degrees of freedom.</summary>
    [Fact]
    public void Trend_OfNoise_IsSeldomTakenForGrowth()
    {
        var random = new Random(5);
        int alarms = Enumerable.Range(0, 1000).Count(_ => Trend.Of([.. Enumerable.Range(0, 240).Select(_ => 100 + random.NextDouble())]) is var trend && trend.Growth > trend.Noise);
        Assert.InRange(alarms, 0, 20);
    }

    [Fact]
    public void Trend_OfALeakUnderNoise_IsSeen()
    {
        var random = new Random(5);
        Trend trend = Trend.Of([.. Enumerable.Range(0, 240).Select(i => 100 + random.NextDouble() + i / 240.0)]);
        Assert.True(trend.Growth > trend.Noise, $"{trend}");
    }

    [Fact]
    public void SoakSample_OfAScrape_FindsItsNumbers()
    {
        const string scrape = """
            # TYPE process_resident_memory_bytes gauge
            process_resident_memory_bytes{} 123
            dotnet_gc_last_collection_heap_size_bytes{} 45
            dotnet_gc_heap_total_allocated_bytes_total{} 678
            onnxllm_num_requests_running{model_name="a"} 2
            onnxllm_num_requests_waiting{model_name="a"} 1
            onnxllm_generation_tokens_total{model_name="a"} 9
            """;
        Assert.Equal(new SoakSample(0.5, 123, 45, 678, 2, 1, 9), SoakSample.Of(scrape, 0.5));
        Assert.Throws<BenchmarkException>(() => SoakSample.Of("", 0));
    }

    [Fact]
    public void ArrivalsResult_OfRounds_IsTheMedianOfTheirRatios()
    {
        var result = new ArrivalsResult([Run(1, 30), Run(1, 10), Run(1, 15), Run(4, 12)]);
        Assert.Equal(["RESULT serve_intertoken_p95_ratio_1 1.5 goal <= 2 met", "RESULT serve_intertoken_p95_ratio_4 1.2 goal <= 2 met"], result.Goals.Select(goal => $"{goal}"));
    }

    private static ArrivalsRun Run(int streams, double busy) => new(streams, [.. Enumerable.Repeat(10.0, 20)], [.. Enumerable.Repeat(busy, 20)], 1000, 0);
}
