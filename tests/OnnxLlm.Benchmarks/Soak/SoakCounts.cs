namespace OnnxLlm.Benchmarks.Soak;

/// <summary>How the requests of some traffic ended.</summary>
internal sealed class SoakCounts
{
    private readonly int[,] _counts = new int[SoakRequests.Kinds.Count, Enum.GetValues<SoakOutcome>().Length];

    /// <summary>Requests that were not begun because too many were under way.</summary>
    public int Skipped { get; set; }

    /// <summary>Requests that had not ended minutes after the last one had begun.</summary>
    public int Hung { get; set; }

    /// <summary>Requests without a mistake that the server would not answer: with 429, or with another refusal.</summary>
    public int ValidRefused => Enumerable.Range(0, SoakRequests.Kinds.Count).Where(kind => kind != SoakRequests.Nonsense).Sum(kind => Count(kind, SoakOutcome.Refused) + Count(kind, SoakOutcome.TurnedAway));

    /// <summary>May be called from several threads at once.</summary>
    public void Add(int kind, SoakOutcome outcome) => Interlocked.Increment(ref _counts[kind, (int)outcome]);

    public int Count(int kind, SoakOutcome outcome) => _counts[kind, (int)outcome];

    public int Count(SoakOutcome outcome) => Enumerable.Range(0, SoakRequests.Kinds.Count).Sum(kind => Count(kind, outcome));
}
