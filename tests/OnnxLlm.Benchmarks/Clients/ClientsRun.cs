namespace OnnxLlm.Benchmarks.Clients;

/// <summary>One run of one side at one number of clients; of the bare loop, sequences.</summary>
/// <param name="WholeRate">Tokens per second with the reading of the prompts.</param>
/// <param name="SteadyRate">Tokens per second while all are decoded.</param>
/// <param name="PeakBytes">Most memory that the side had resident.</param>
/// <param name="OthersShare">Share of the machine that neither side nor the clients took.</param>
internal sealed record ClientsRun(double WholeRate, double SteadyRate, long PeakBytes, double OthersShare)
{
    /// <summary>Milliseconds to the first token of each answer; of a step loop, until all its prompts are read.</summary>
    public IReadOnlyList<double> Firsts { get; init; } = [];

    /// <summary>Milliseconds from each event of a stream to the next; of a step loop, none.</summary>
    public IReadOnlyList<double> Gaps { get; init; } = [];

    /// <summary>Processor time in microseconds per token of all the server's threads but those of the model; of the bare loop, none.</summary>
    public double HttpMicroseconds { get; init; }

    /// <summary>Managed bytes that the server allocated per token, requests and all.</summary>
    public double AllocatedBytes { get; init; }
}
