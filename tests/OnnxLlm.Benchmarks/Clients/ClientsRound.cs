namespace OnnxLlm.Benchmarks.Clients;

/// <summary>One run of every side, in turn.</summary>
/// <param name="Bare">Our step loop without a server.</param>
/// <param name="Served">The server.</param>
/// <param name="Peers">Step loops of other runtimes by their names; none in rounds that leave them out.</param>
internal sealed record ClientsRound(ClientsRun Bare, ClientsRun Served, IReadOnlyDictionary<string, ClientsRun> Peers)
{
    public double OthersShare => Peers.Values.Append(Bare).Append(Served).Max(run => run.OthersShare);
}
