using OnnxLlm.Benchmarks;
using OnnxLlm.Benchmarks.Arrivals;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Soak;

namespace OnnxLlm.Tests.Benchmarks;

public sealed class SoakMeasuringTests
{
    /// <summary>Resident memory swings by 30 MB above what the server holds; only that, its least, counts.</summary>
    [Theory]
    [InlineData(0, 1, true)]
    [InlineData(9.9, 1.0495, true)]     // from 100 MB in the second quarter to 104.95 in the last
    [InlineData(10.1, 1.0505, false)]
    public void SoakResult_OfALeakUnderNoise_TellsWhatIsHeldAtRest(double leaked, double growth, bool met)
    {
        SoakResult result = Result([.. Enumerable.Range(0, 400).Select(i => Sample(i / 400.0, 100 + leaked * Math.Max(0, i / 400.0 - 0.25) + i * 7 % 10 * 3))]);
        Goal goal = Assert.Single(result.Goals, goal => goal.Name == "soak_resident_growth");

        Assert.Equal(growth, goal.Value, 9);
        Assert.Equal(met, goal.Met);
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
            onnxllm_prefix_cache_bytes{model_name="a"} 7
            """;
        Assert.Equal(new SoakSample(0.5, 123, 45, 678, 2, 1, 9, 7), SoakSample.Of(scrape, 0.5));
        Assert.Throws<BenchmarkException>(() => SoakSample.Of("", 0));
    }

    [Fact]
    public void ArrivalsResult_OfRounds_IsTheMedianOfTheirRatios()
    {
        var result = new ArrivalsResult([Run(1, 30), Run(1, 10), Run(1, 15), Run(4, 12)]);
        Assert.Equal(["RESULT serve_intertoken_p95_ratio_1 1.5 goal <= 2 met", "RESULT serve_intertoken_p95_ratio_4 1.2 goal <= 2 met"], result.Goals.Select(goal => $"{goal}"));
    }

    /// <summary>Twenty samples apart; 5 % of the resident memory are 5 MB.</summary>
    [Theory]
    [InlineData(0.249e6, "")]
    [InlineData(0.251e6, "soak_heap_growth_mb")]
    public void SoakResult_OfAHeapThatGrows_MissesItsGoalBeyondTheBytesOfResidentMemorys(double bytes, string missed)
    {
        SoakResult result = Result([.. Enumerable.Range(0, 40).Select(i => Sample(i, 100) with { Heap = 6e6 + i * bytes })]);

        Assert.Equal(missed, string.Join(' ', result.Goals.Where(goal => !goal.Met).Select(goal => goal.Name)));
    }

    [Fact]
    public void SoakResult_OfMomentsThatWereNotLookedAt_SaysSo() =>
        Assert.Throws<BenchmarkException>(() => Result([Sample(0.1, 100), Sample(4, 100)]).Goals);

    /// <summary>Nonsense is refused as it should be; a kind without a mistake is to be answered.</summary>
    [Theory]
    [InlineData("nonsense", nameof(SoakOutcome.Refused), "")]
    [InlineData("chat", nameof(SoakOutcome.Answered), "")]
    [InlineData("disconnects", nameof(SoakOutcome.Left), "")]
    [InlineData("chat", nameof(SoakOutcome.Refused), "soak_valid_refused")]
    [InlineData("disconnects", nameof(SoakOutcome.TurnedAway), "soak_valid_refused")]
    [InlineData("nonsense", nameof(SoakOutcome.Broken), "soak_failed_admitted")]
    [InlineData("embeddings", nameof(SoakOutcome.ServerError), "soak_5xx")]
    public void SoakResult_OfARequest_MissesTheGoalThatItsEndMeans(string kind, string outcome, string missed)
    {
        SoakResult result = Result([.. Enumerable.Range(1, 8).Select(i => Sample(i, 100))]);
        result.Requests.Add(SoakRequests.Kinds.ToList().IndexOf(kind), Enum.Parse<SoakOutcome>(outcome));

        Assert.Equal(missed, string.Join(' ', result.Goals.Where(goal => !goal.Met).Select(goal => goal.Name)));
    }

    private static SoakResult Result(IReadOnlyList<SoakSample> samples) => new(new SoakCounts(), samples, Reloads: 0, FailedReloads: 0, samples[^1]);

    private static SoakSample Sample(double minutes, double megabytes) => new(minutes, megabytes * 1e6, Heap: 6e6, Allocated: 0, Running: 0, Waiting: 0, Tokens: 0, PrefixBytes: 0);

    private static ArrivalsRun Run(int streams, double busy) => new(streams, [.. Enumerable.Repeat(10.0, 20)], [.. Enumerable.Repeat(busy, 20)], 1000, 0);
}
