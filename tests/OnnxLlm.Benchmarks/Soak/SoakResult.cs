using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>What happened.</summary>
/// <param name="Reloads">Times that the model was replaced.</param>
/// <param name="FailedReloads">Times that it could not be.</param>
/// <param name="Last">The server when all requests had ended.</param>
internal sealed record SoakResult(SoakCounts Requests, IReadOnlyList<SoakSample> Samples, int Reloads, int FailedReloads, SoakSample Last)
{
    /// <summary>
    /// The most that resident memory may seem to have grown. Requests, reloads and collections only ever add to what the server holds at rest, so the least of a quarter of the
    /// time is near that, and moves by a percent or two; what leaks raises it, and goes on doing so.
    /// </summary>
    public const double LargestGrowth = 1.05;

    public IReadOnlyList<Goal> Goals =>
    [
        Goal.Most("soak_5xx", Requests.Count(SoakOutcome.ServerError), 0),
        Goal.Most("soak_failed_admitted", Requests.Count(SoakOutcome.Broken) + Requests.Hung, 0),
        Goal.Most("soak_valid_refused", Requests.ValidRefused, 0),
        Goal.Most("soak_failed_reloads", FailedReloads, 0),
        Goal.Most("soak_slots_and_queue_left", Last.Running + Last.Waiting, 0),
        Goal.Most("soak_resident_growth", Least(4, sample => sample.Resident) / Least(2, sample => sample.Resident), LargestGrowth),
        Goal.Most("soak_heap_growth_mb", (Least(4, sample => sample.Heap) - Least(2, sample => sample.Heap)) / 1e6, MostBytes / 1e6),
    ];

    /// <summary>By how much resident memory may grow; and the heap in it, whose least is some megabytes that differ by a third from one collection to another.</summary>
    public double MostBytes => (LargestGrowth - 1) * Least(2, sample => sample.Resident);

    /// <summary>The least of a figure in a quarter of the time.</summary>
    /// <param name="quarter">1 to 4.</param>
    public double Least(int quarter, Func<SoakSample, double> figure)
    {
        double quarters = Samples[^1].Minutes / 4;
        double[] figures = [.. Samples.Where(sample => sample.Minutes > (quarter - 1) * quarters && sample.Minutes <= quarter * quarters).Select(figure)];
        return figures.Length > 0 ? figures.Min() : throw new BenchmarkException("The time was too short: in a quarter of it the server was not looked at.");
    }
}
