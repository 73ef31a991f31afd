using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>What the rounds measured: the bare loop is the peer, the server is ours.</summary>
internal sealed record ServeResult(IReadOnlyList<Round<ServeRun>> Rounds)
{
    public IReadOnlyList<Goal> Goals =>
    [
        Goal.Least("serve_stream_ratio", IfQuiet(Ratio(run => run.StreamRate)), 0.8),
        Goal.Most("serve_first_token_ms", IfQuiet(SlowestFirst), 200),
        Goal.Most("serve_overhead_us_per_token", IfQuiet(Overhead), 50),
    ];

    public IEnumerable<ServeRun> Bare => Rounds.Select(round => round.Peer);

    public IEnumerable<ServeRun> Served => Rounds.Select(round => round.Ours);

    public double OthersShare => Bare.Concat(Served).Max(run => run.OthersShare);

    public double SlowestFirst => Served.SelectMany(run => run.Answers).Max(answer => answer.FirstMilliseconds);

    /// <summary>The server's over the bare loop's figure of the same round; the median over the rounds.</summary>
    public double Ratio(Func<ServeRun, double> figure) => Summary.Of(Rounds.Select(round => figure(round.Ours) / figure(round.Peer))).Median;

    /// <summary>Microseconds that the server takes for a token beyond the bare loop of the same round; the median over the rounds.</summary>
    public double Overhead => Summary.Of(Rounds.Select(round => 1e6 / round.Ours.StreamRate - 1e6 / round.Peer.StreamRate)).Median;

    /// <summary>Tokens per second of some clients together, median over the rounds.</summary>
    public double LoadRate(int clients) => Summary.Of(Served.SelectMany(run => run.Loads).Where(load => load.Clients == clients).Select(load => load.Rate)).Median;

    private double IfQuiet(double value) => Publication.IsQuiet(OthersShare) ? value : double.NaN;
}
