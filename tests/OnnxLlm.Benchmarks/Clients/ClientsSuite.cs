using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Benchmarks.Peers;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>
/// What lies between the server and the bare step loop when several clients stream, and whether it is still faster than step loops of other runtimes: prompts and
/// answers of the same lengths at the same batch, each side in its own process, in short turns. Processes start anew several times: one may be faster or slower than
/// another for all its life.
/// </summary>
internal sealed class ClientsSuite(ClientsOptions options, TimeProvider time, TextWriter output)
{
    private const int MostTries = 3;

    private readonly QuietMachine _machine = new(time, options.Threads, output);

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var temporary = new TemporaryFolder("clients");
        if (options.PeerStarts > 0) PeerLibrary.Require();
        string folder = options.Models ?? temporary.Path, package = LargePackage.In(folder);
        Dictionary<string, string> peers = options.PeerStarts > 0 ? new() { [PeersWorker.Llama] = LargePackage.GgufIn(folder), [PeersWorker.GenAi] = LargePackage.PlainIn(folder) } : [];
        var result = new ClientsResult(options.Counts.ToDictionary(count => count, count => Starts(package, peers, count)));
        string section = ClientsReport.Section(result, options, MeasuredModel.Describe(package), CacheBytes(package), time.GetLocalNow());
        return new Publication("clients", section, result.OthersShare, result.Goals).To(output, options.Report);
    }

    /// <summary>Server and loop come first in turn, when they start and in every round.</summary>
    private IReadOnlyList<ClientsRound> Starts(string package, IReadOnlyDictionary<string, string> peers, int count) =>
        [.. Enumerable.Range(0, options.Starts).SelectMany(start => Rounds(package, start < options.PeerStarts ? peers : new Dictionary<string, string>(), count, backwards: start % 2 == 1))];

    private IReadOnlyList<ClientsRound> Rounds(string package, IReadOnlyDictionary<string, string> peers, int count, bool backwards)
    {
        using ClientsSide first = backwards ? Server() : Bare(), second = backwards ? Bare() : Server();
        ClientsSide[] both = backwards ? [second, first] : [first, second], others = [.. peers.Select(peer => new LoopSide(options, peer.Key, peer.Value, count))];
        try
        {
            return [.. Enumerable.Range(0, options.RoundsOf(count)).Select(round => Round([.. both, .. round == 0 ? others : []], count, backwards: round % 2 == 1 != backwards))];
        }
        finally
        {
            foreach (ClientsSide side in others) side.Dispose();
        }

        ClientsSide Bare() => new LoopSide(options, PeersWorker.Own, package, count);

        ClientsSide Server() => new ServerSide(options, package, count);
    }

    /// <summary>A round that other programs disturb is taken again, whatever it measured: there are many, and one would spoil all.</summary>
    private ClientsRound Round(IReadOnlyList<ClientsSide> sides, int count, bool backwards)
    {
        for (int tries = 1; ; tries++)
        {
            ClientsRound round = Try(sides, count, backwards);
            if (Publication.IsQuiet(round.OthersShare) || tries == MostTries) return round;
            output.WriteLine("  other programs were busy: once more");
        }
    }

    /// <summary>Every side once; in every other round in the opposite order, so that none profits from a machine that becomes faster.</summary>
    private ClientsRound Try(IReadOnlyList<ClientsSide> sides, int count, bool backwards)
    {
        _machine.Wait();
        var runs = (backwards ? sides.Reverse() : sides).ToDictionary(side => side, side => Logged(side, count));
        return new(runs[sides[0]], runs[sides[1]], sides.Skip(2).ToDictionary(side => side.Name, side => runs[side]));
    }

    /// <summary>Keys and values of one slot.</summary>
    private double CacheBytes(string package)
    {
        using var session = new GenerationSession(ModelPackage.Open(package), slots: 1, options.Prompt + options.Tokens, new SessionSettings { Threads = options.Threads });
        return session.CacheBytes;
    }

    private ClientsRun Logged(ClientsSide side, int count)
    {
        ClientsRun run = side.Turn();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {side.Name}, {count}: {run.WholeRate:F0} tokens/s, steady {run.SteadyRate:F0}; first token {Percentiles.Of(run.Firsts)!.P50:F0} ms; beside the model {run.HttpMicroseconds:F0} µs and {run.AllocatedBytes:F0} bytes a token; {run.PeakBytes / 1e6:F0} MB; others {run.OthersShare:P0}"));
        return run;
    }
}
