using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>What the clients of one turn saw.</summary>
/// <param name="tokens">Tokens of each answer.</param>
/// <param name="answers">A line each, times in milliseconds from one common moment.</param>
internal sealed class StreamedLoad(int tokens, IReadOnlyList<WorkerLine> answers)
{
    private readonly WorkerLine[] _whole = [.. answers.Where(answer => answer.Steady is null)];

    /// <summary>Tokens per second of all clients, from the first request to the end of the last answer.</summary>
    public double WholeRate => _whole.Length * tokens / (_whole.Max(End) - _whole.Min(answer => answer.BeganMilliseconds!.Value)) * 1e3;

    /// <summary>
    /// Tokens per second of all streams together behind prompts that need no reading: the sum of what each gets between its first token and its last. Others' first
    /// tokens fall into the time of those that begin early, so it is rather too low.
    /// </summary>
    public double SteadyRate => answers.Except(_whole).Sum(answer => (tokens - 1) / answer.Milliseconds!.Value) * 1e3;

    /// <summary>Milliseconds to the first token, of each answer.</summary>
    public IReadOnlyList<double> Firsts => [.. _whole.Select(answer => answer.FirstMilliseconds!.Value)];

    /// <summary>Milliseconds from each event to the next, of all answers.</summary>
    public IReadOnlyList<double> Gaps => [.. _whole.SelectMany(answer => answer.Gaps!)];

    private static double End(WorkerLine answer) => answer.BeganMilliseconds!.Value + answer.FirstMilliseconds!.Value + answer.Milliseconds!.Value;
}
