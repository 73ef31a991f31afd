using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>What the rounds measured, by the number of clients: the bare loop is the peer, the server is ours.</summary>
internal sealed record ClientsResult(IReadOnlyDictionary<int, IReadOnlyList<Round<ClientsRun>>> Rounds)
{
    private const double LeastRatio = 0.95, MostHttpMicroseconds = 50;

    public IEnumerable<int> Counts => Rounds.Keys.Order();

    public IReadOnlyList<Goal> Goals =>
    [
        .. Counts.Select(count => Goal.Least($"clients_whole_ratio_{count}", IfQuiet(Ratio(count, run => run.WholeRate)), LeastRatio)),
        .. Counts.Select(count => Goal.Least($"clients_steady_ratio_{count}", IfQuiet(Ratio(count, run => run.SteadyRate)), LeastRatio)),
        .. Counts.Select(count => Goal.Most($"clients_http_us_per_token_{count}", Served(count, run => run.HttpMicroseconds), MostHttpMicroseconds)),
    ];

    public double OthersShare => Rounds.Values.SelectMany(rounds => rounds).Max(round => Math.Max(round.Peer.OthersShare, round.Ours.OthersShare));

    /// <summary>Median over the rounds.</summary>
    public double Bare(int count, Func<ClientsRun, double> figure) => Summary.Of(Rounds[count].Select(round => figure(round.Peer))).Median;

    /// <summary>Median over the rounds.</summary>
    public double Served(int count, Func<ClientsRun, double> figure) => Summary.Of(Rounds[count].Select(round => figure(round.Ours))).Median;

    /// <summary>The server's over the bare loop's figure of the same round; the median over the rounds.</summary>
    public double Ratio(int count, Func<ClientsRun, double> figure) => Summary.Of(Rounds[count].Select(round => figure(round.Ours) / figure(round.Peer))).Median;

    /// <summary>Bytes by which the server's peak grows with one more slot, between the fewest and the most; not a number for one count.</summary>
    public double BytesPerSlot
    {
        get
        {
            (int fewest, int most) = (Counts.First(), Counts.Last());
            return (Served(most, run => run.PeakBytes) - Served(fewest, run => run.PeakBytes)) / (most - fewest);
        }
    }

    private double IfQuiet(double value) => Publication.IsQuiet(OthersShare) ? value : double.NaN;
}
