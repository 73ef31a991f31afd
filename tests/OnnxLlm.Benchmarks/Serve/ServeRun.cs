using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>Tokens per second of some clients together.</summary>
internal sealed record ClientLoad(int Clients, double Rate);

/// <summary>One run of one side: answers one after the other, then, of the server, answers to several clients at a time.</summary>
/// <param name="OthersShare">Share of the machine that neither side nor the clients took.</param>
internal sealed record ServeRun(IReadOnlyList<AnswerTime> Answers, IReadOnlyList<ClientLoad> Loads, long PeakBytes, double OthersShare)
{
    public double StreamRate => Summary.Of(Answers.Select(answer => answer.StreamRate)).Median;

    public double WholeRate => Summary.Of(Answers.Select(answer => answer.WholeRate)).Median;

    public Summary First => Summary.Of(Answers.Select(answer => answer.FirstMilliseconds));
}
