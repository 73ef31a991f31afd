using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>What happened.</summary>
/// <param name="Reloads">Times that the model was replaced.</param>
/// <param name="FailedReloads">Times that it could not be.</param>
/// <param name="Last">The server when all requests had ended.</param>
internal sealed record SoakResult(SoakTraffic Traffic, IReadOnlyList<SoakSample> Samples, int Reloads, int FailedReloads, SoakSample Last)
{
    public IReadOnlyList<SoakSample> SecondHalf => [.. Samples.Where(sample => sample.Minutes >= Samples[^1].Minutes / 2)];

    public Trend Resident => Trend.Of([.. SecondHalf.Select(sample => sample.Resident / 1e6)]);

    public Trend Heap => Trend.Of([.. SecondHalf.Select(sample => sample.Heap / 1e6)]);

    public IReadOnlyList<Goal> Goals =>
    [
        Goal.Most("soak_5xx", Traffic.Count(SoakOutcome.ServerError), 0),
        Goal.Most("soak_failed_admitted", Traffic.Count(SoakOutcome.Broken) + Traffic.Hung, 0),
        Goal.Most("soak_failed_reloads", FailedReloads, 0),
        Goal.Most("soak_slots_and_queue_left", Last.Running + Last.Waiting, 0),
        Goal.Most("soak_resident_growth_mb", Resident.Growth, Resident.Noise),
        Goal.Most("soak_heap_growth_mb", Heap.Growth, Heap.Noise),
    ];
}
