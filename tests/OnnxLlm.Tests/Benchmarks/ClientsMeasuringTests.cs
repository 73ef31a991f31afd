using OnnxLlm.Benchmarks.Clients;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Peers;

namespace OnnxLlm.Tests.Benchmarks;

public sealed class ClientsMeasuringTests
{
    /// <summary>Two answers of nine tokens, and two behind known prompts, which count for the steady rate alone.</summary>
    private static readonly StreamedLoad Load = new(
        tokens: 9, [Answer(0, 20, 10), Answer(10, 40, 20), Answer(300, 5, 10) with { Steady = true }, Answer(300, 10, 20) with { Steady = true }]);

    [Fact]
    public void StreamedLoad_Whole_LastsFromTheFirstRequestToTheLastEnd() => Assert.Equal(18 / 0.21, Load.WholeRate, 9);

    [Fact]
    public void StreamedLoad_Steady_IsTheSumOfWhatStreamsGetBehindTheirFirstTokens() => Assert.Equal(8 / 0.08 + 8 / 0.16, Load.SteadyRate, 9);

    [Fact]
    public void ClientsResult_OfRounds_HasItsGoalsByTheNumberOfClients()
    {
        var result = new ClientsResult(new Dictionary<int, IReadOnlyList<ClientsRound>> { [1] = [Round(100, 96, 300)], [5] = [Round(200, 180, 380)] });

        Assert.Equal(
            [
                "RESULT clients_whole_ratio_1 0.96 goal >= 0.95 met", "RESULT clients_whole_ratio_5 0.9 goal >= 0.95 missed",
                "RESULT clients_steady_ratio_1 0.96 goal >= 0.95 met", "RESULT clients_steady_ratio_5 0.9 goal >= 0.95 missed",
                "RESULT clients_http_us_per_token_1 40 goal <= 50 met", "RESULT clients_http_us_per_token_5 40 goal <= 50 met",
            ],
            result.Goals.Select(goal => $"{goal}"));
        Assert.Equal(20, result.BytesPerSlot);
    }

    [Fact]
    public void StreamedLoad_OfAnswers_HasTheirFirstTokensAndTheGapsOfAllTheirEvents()
    {
        Assert.Equal([20, 40], Load.Firsts);
        Assert.Equal([10, 10, 10, 10, 10, 10, 10, 10, 20, 20, 20, 20, 20, 20, 20, 20], Load.Gaps);
    }

    /// <summary>Twenty answers, one of them late: 0.95 of the way from the first to the last of them in order lies between the last two, a twentieth of the way.</summary>
    [Fact]
    public void ClientsResult_OfFewAnswersInARound_TakesThePercentileOfAllRoundsTogether()
    {
        ClientsRound quick = Timed([.. Enumerable.Repeat(100.0, 10)]), late = Timed([.. Enumerable.Repeat(100.0, 9), 300]);
        var result = new ClientsResult(new Dictionary<int, IReadOnlyList<ClientsRound>> { [1] = [quick, late] });

        Assert.Equal(110, result.LateServed(1, run => run.Firsts), 9);
        Assert.Equal(double.NaN, result.LateBare(1, run => run.Firsts));

        static ClientsRound Timed(double[] firsts) => Round(1, 1, 1) with { Served = Run(1, 1) with { Firsts = firsts } };
    }

    [Fact]
    public void ClientsResult_WithOtherRuntimes_ComparesTheServerWithThemInTheSameRound()
    {
        var peers = new Dictionary<string, ClientsRun> { [PeersWorker.Llama] = Run(50, 100), [PeersWorker.GenAi] = Run(96, 100) };
        ClientsRound round = Round(100, 96, 300) with { Peers = peers };
        var result = new ClientsResult(new Dictionary<int, IReadOnlyList<ClientsRound>> { [3] = [round], [4] = [round, Round(100, 10, 300)] });       // not in every round

        Assert.Equal(1, result.PeerRounds);
        Assert.Equal(
            [
                "RESULT clients_over_llama_cpp_4 1.92 goal >= 2 missed",      // three clients have no goal of their own
                "RESULT clients_over_ort_genai_3 1 goal >= 1 met", "RESULT clients_over_ort_genai_4 1 goal >= 1 met",
            ],
            result.Goals.Select(goal => $"{goal}").Where(line => line.Contains("_over_", StringComparison.Ordinal)));
    }

    [Fact]
    public void ClientsResult_OnABusyMachine_MeetsNoGoalOfSpeed()
    {
        ClientsRound round = Round(100, 300, 300) with { Peers = new Dictionary<string, ClientsRun> { [PeersWorker.Llama] = Run(50, 100) with { OthersShare = 0.2 } } };
        var result = new ClientsResult(new Dictionary<int, IReadOnlyList<ClientsRound>> { [1] = [round] });

        Assert.All(result.Goals.Where(goal => !goal.AtMost), goal => Assert.False(goal.Met));
    }

    [Fact]
    public void ThreadTime_OfALine_IsItsFirstFieldInNanoseconds() => Assert.Equal(1234.567, ThreadTime.Microseconds("1234567 89 10\n"));

    [Fact]
    public void ThreadTime_OfWhatIsNot_IsNotANumber() =>
        Assert.Equal(double.NaN, ThreadTime.Of(Environment.ProcessId, _ => false).MicrosecondsSince(ThreadTime.Of(Environment.ProcessId, _ => false)));

    [Fact]
    public void ThreadTime_OfThisProcess_GrowsWithItsWork()
    {
        ThreadTime before = ThreadTime.Of(Environment.ProcessId, _ => true);
        double since;
        do since = ThreadTime.Of(Environment.ProcessId, _ => true).MicrosecondsSince(before);
        while (since < 2000);

        Assert.True(since >= 2000);     // it is a number
    }

    /// <summary>Nine tokens, each an event of its own.</summary>
    private static WorkerLine Answer(double began, double first, double apart) =>
        new() { BeganMilliseconds = began, FirstMilliseconds = first, Milliseconds = 8 * apart, Gaps = [.. Enumerable.Repeat(apart, 8)] };

    private static ClientsRound Round(double bare, double served, long peak) => new(Run(bare, peak), Run(served, peak), new Dictionary<string, ClientsRun>());

    private static ClientsRun Run(double rate, long peak) => new(rate, rate, peak, 0) { HttpMicroseconds = 40 };
}
