using System.Globalization;
using System.Text.Json;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Memory;
using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Data;

/// <summary>Whether data ever hold training up: how fast shards are read by themselves, and how long the steps of the real runner wait for a batch.</summary>
internal sealed class DataSuite(int steps, int threads, string? report, TimeProvider time, TextWriter output)
{
    private const int Vocabulary = 4096, Length = 1025, Reads = 20_000, Seed = 1, WarmUp = 3;

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("data");
        string shards = MemoryData.Write(folder.Path, Vocabulary, noise: 1), run = Path.Combine(folder.Path, "run");
        double rate = ReadRate(shards);
        var machine = new ProcessorTime(time);
        var (_, busy) = RunnerProcess.Watch(
        [
            "train", Path.Combine(BenchmarkDocument.Root, "training", "configs", "quickstart.json"), "--run", run, "--plain", "--set", $"data={shards}", FormattableString.Invariant($"threads={threads}"),
            "log_every=1", "schedule.warmup_steps=2", "evaluate_every=0", "evaluate_tokens=2048", "checkpoint_every=0", FormattableString.Invariant($"steps={steps}"),
        ]);
        double others = machine.OthersShare(busy);
        double[] waits = [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonSerializer.Deserialize<JsonElement>(line))
            .Where(line => line.TryGetProperty("data_wait", out _)).Skip(WarmUp).Select(line => line.GetProperty("data_wait").GetDouble())];
        Goal[] goals = [Goal.Least("data-tokens-per-second", rate, 5e6), Goal.Most("data-wait-share-of-a-step", Summary.Of(waits).Median, 0.001)];
        return new Publication("data", Section(rate, waits, goals, others), others, goals).To(output, report);
    }

    /// <summary>Tokens per second of windows at random places, by one thread.</summary>
    private double ReadRate(string shards)
    {
        using TokenShards tokens = TokenShards.Open(shards, "train");
        var random = new Random(Seed);
        int[] window = new int[Length];
        long begin = time.GetTimestamp();
        for (int i = 0; i < Reads; i++) tokens.Read(random.NextInt64(tokens.Length - Length), window);
        return Reads * (double)Length / time.GetElapsedTime(begin).TotalSeconds;
    }

    private string Section(double rate, double[] waits, Goal[] goals, double others) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Data

        {time.GetLocalNow():yyyy-MM-dd}. {Machine.Current}. Shards of 400,000 tokens, mapped and in the system's cache; one thread reads windows of {Length} tokens at random places with {rate / 1e6:F0} M tokens/s.
        In {waits.Length} steps of the quickstart's config the loop waited for its batch, which another thread had prepared during the step before, {Summary.Of(waits).Median:P4} of a step
        in the median, {waits.Max():P4} at most. Other programs took {others:P1} of the machine meanwhile.

        {string.Join("\n", goals.Select(goal => goal.ListItem))}
        """);
}
