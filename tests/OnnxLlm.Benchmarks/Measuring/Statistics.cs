namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>Median and minimum of a sample; noise on a shared machine only ever adds time, so both are reported.</summary>
internal sealed record Summary(double Median, double Minimum)
{
    public static Summary Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
            throw new BenchmarkException("There is nothing to summarize: a run had no step after its warm-up.");
        int middle = sorted.Length / 2;
        double median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Summary(median, sorted[0]);
    }
}

/// <summary>One round of an alternated comparison: the peer first, then ours.</summary>
internal sealed record Round<T>(T Peer, T Ours);

internal static class Alternation
{
    /// <summary>Runs peer and ours in turn, each on a machine as quiet as can be had, so that a slow phase meets both.</summary>
    public static IReadOnlyList<Round<T>> Run<T>(int rounds, QuietMachine machine, Func<T> peer, Func<T> ours)
    {
        var results = new List<Round<T>>();
        for (int i = 0; i < rounds; i++)
            results.Add(new Round<T>(Quietly(peer), Quietly(ours)));
        return results;

        T Quietly(Func<T> run)
        {
            machine.Wait();
            return run();
        }
    }
}
