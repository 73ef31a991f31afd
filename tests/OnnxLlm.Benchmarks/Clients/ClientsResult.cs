using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Peers;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>What the rounds measured, by the number of clients.</summary>
internal sealed record ClientsResult(IReadOnlyDictionary<int, IReadOnlyList<ClientsRound>> Rounds)
{
    private const double LeastRatio = 0.95, MostHttpMicroseconds = 50, GenAiGoal = 1;

    /// <summary>Least ratios of the streams' rate to that of llama.cpp's loop, by the number of clients.</summary>
    private static readonly Dictionary<int, double> LlamaGoals = new() { [1] = 1.2, [4] = 2, [16] = 1.5, [32] = 1.5 };

    public IEnumerable<int> Counts => Rounds.Keys.Order();

    /// <summary>Names of the other runtimes; none where they were left out.</summary>
    public IReadOnlyList<string> Peers => [.. Rounds.Values.First()[0].Peers.Keys];

    public int PeerRounds => Rounds.Values.First().Count(round => round.Peers.Count > 0);

    public IReadOnlyList<Goal> Goals =>
    [
        .. Counts.Select(count => Goal.Least($"clients_whole_ratio_{count}", IfQuiet(Ratio(count, run => run.WholeRate)), LeastRatio)),
        .. Counts.Select(count => Goal.Least($"clients_steady_ratio_{count}", IfQuiet(Ratio(count, run => run.SteadyRate)), LeastRatio)),
        .. Counts.Select(count => Goal.Most($"clients_http_us_per_token_{count}", Served(count, run => run.HttpMicroseconds), MostHttpMicroseconds)),
        .. Over("llama_cpp", PeersWorker.Llama, LlamaGoals.GetValueOrDefault),
        .. Over("ort_genai", PeersWorker.GenAi, _ => GenAiGoal),
    ];

    public double OthersShare => Rounds.Values.SelectMany(rounds => rounds).Max(round => round.OthersShare);

    /// <summary>Median over the rounds.</summary>
    public double Bare(int count, Func<ClientsRun, double> figure) => Summary.Of(Rounds[count].Select(round => figure(round.Bare))).Median;

    /// <summary>Median over the rounds.</summary>
    public double Served(int count, Func<ClientsRun, double> figure) => Summary.Of(Rounds[count].Select(round => figure(round.Served))).Median;

    /// <summary>Median over its rounds.</summary>
    public double Peer(string name, int count, Func<ClientsRun, double> figure) => Summary.Of(With(name, count).Select(round => figure(round.Peers[name]))).Median;

    /// <summary>The server's over the bare loop's figure of the same round; the median over the rounds.</summary>
    public double Ratio(int count, Func<ClientsRun, double> figure) => Summary.Of(Rounds[count].Select(round => figure(round.Served) / figure(round.Bare))).Median;

    /// <summary>The server's over another runtime's figure of the same round; the median over its rounds.</summary>
    public double Ratio(string peer, int count, Func<ClientsRun, double> figure) => Summary.Of(With(peer, count).Select(round => figure(round.Served) / figure(round.Peers[peer]))).Median;

    /// <summary>What only one in twenty of the bare loop's answers exceeds, those of all rounds together: one round has few.</summary>
    public double LateBare(int count, Func<ClientsRun, IReadOnlyList<double>> times) => Late(Rounds[count].SelectMany(round => times(round.Bare)));

    /// <summary>What only one in twenty of the server's answers, or of its events, exceeds, those of all rounds together.</summary>
    public double LateServed(int count, Func<ClientsRun, IReadOnlyList<double>> times) => Late(Rounds[count].SelectMany(round => times(round.Served)));

    /// <summary>Bytes by which the server's peak grows with one more slot, between the fewest and the most; not a number for one count.</summary>
    public double BytesPerSlot
    {
        get
        {
            (int fewest, int most) = (Counts.First(), Counts.Last());
            return (Served(most, run => run.PeakBytes) - Served(fewest, run => run.PeakBytes)) / (most - fewest);
        }
    }

    /// <summary>Goals against a runtime, at the numbers of clients that have one; none where it was left out.</summary>
    private IEnumerable<Goal> Over(string name, string peer, Func<int, double> least) => Peers.Contains(peer)
        ? Counts.Where(count => least(count) > 0).Select(count => Goal.Least($"clients_over_{name}_{count}", IfQuiet(Ratio(peer, count, run => run.SteadyRate)), least(count)))
        : [];

    private IEnumerable<ClientsRound> With(string peer, int count) => Rounds[count].Where(round => round.Peers.ContainsKey(peer));

    private static double Late(IEnumerable<double> times) => Percentiles.Of(times)?.P95 ?? double.NaN;

    private double IfQuiet(double value) => Publication.IsQuiet(OthersShare) ? value : double.NaN;
}
