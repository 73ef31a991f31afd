using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>What the clients of one run saw.</summary>
/// <param name="clients">Streams at a time.</param>
/// <param name="tokens">Tokens of each answer.</param>
/// <param name="answers">A line each, times in milliseconds from one common moment.</param>
internal sealed class StreamedLoad(int clients, int tokens, IReadOnlyList<WorkerLine> answers)
{
    /// <summary>Tokens per second of all clients, from the first request to the end of the last answer.</summary>
    public double WholeRate => answers.Count * tokens / (answers.Max(End) - answers.Min(answer => answer.BeganMilliseconds!.Value)) * 1e3;

    /// <summary>Tokens per second while every client is in the middle of its answer, so that no prompt is being read; not a number where that never was.</summary>
    public double SteadyRate
    {
        get
        {
            (double From, double To)[] spans = [.. Steady()];
            return answers.Sum(answer => spans.Sum(span => Within(answer, span))) / spans.Sum(span => span.To - span.From) * 1e3;
        }
    }

    /// <summary>Milliseconds to the first token, of each answer.</summary>
    public IReadOnlyList<double> Firsts => [.. answers.Select(answer => answer.FirstMilliseconds!.Value)];

    /// <summary>Milliseconds from each event to the next, of all answers.</summary>
    public IReadOnlyList<double> Gaps => [.. answers.SelectMany(answer => answer.Gaps!)];

    private static double First(WorkerLine answer) => answer.BeganMilliseconds!.Value + answer.FirstMilliseconds!.Value;

    private static double End(WorkerLine answer) => First(answer) + answer.Milliseconds!.Value;

    private IEnumerable<(double From, double To)> Steady()
    {
        var changes = answers.SelectMany(answer => ((double At, int By)[])[(First(answer), 1), (End(answer), -1)]).Order().ToArray();
        int streaming = 0;
        for (int i = 0; i + 1 < changes.Length; i++)
        {
            streaming += changes[i].By;
            if (streaming == clients) yield return (changes[i].At, changes[i + 1].At);
        }
    }

    /// <summary>An event may bring several tokens, where bytes of a character came apart or steps are short: each counts as many as the answer's events do on average.</summary>
    private double Within(WorkerLine answer, (double From, double To) span)
    {
        double at = First(answer);
        int events = 0;
        foreach (double gap in answer.Gaps!)
        {
            at += gap;
            if (at > span.From && at <= span.To) events++;
        }
        return events * (tokens - 1.0) / answer.Gaps!.Count;
    }
}
