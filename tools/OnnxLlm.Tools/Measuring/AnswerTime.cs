namespace OnnxLlm.Tools.Measuring;

/// <summary>How long an answer took: until its first token, and from there to its last.</summary>
internal sealed record AnswerTime(double FirstMilliseconds, double RestMilliseconds, int Tokens)
{
    /// <summary>
    /// Milliseconds from each arrival to the next, where they were noted: of tokens, or of a stream's events, each of which may hold several tokens.
    /// </summary>
    public IReadOnlyList<double> Gaps { get; init; } = [];

    /// <param name="time">Whose timestamps these are.</param>
    /// <param name="begin">When the request was made.</param>
    /// <param name="arrivals">When something came, the first token first; at least one.</param>
    /// <param name="tokens">Tokens of the answer.</param>
    public static AnswerTime Of(TimeProvider time, long begin, IReadOnlyList<long> arrivals, int tokens) =>
        new(Milliseconds(time, begin, arrivals[0]), Milliseconds(time, arrivals[0], arrivals[^1]), tokens)
        {
            Gaps = [.. arrivals.Zip(arrivals.Skip(1), (one, next) => Milliseconds(time, one, next))],
        };

    /// <summary>Tokens per second once the first is there: what the reader of a stream sees.</summary>
    public double StreamRate => (Tokens - 1) / RestMilliseconds * 1e3;

    /// <summary>Tokens per second with the reading of the prompt.</summary>
    public double WholeRate => Tokens / (FirstMilliseconds + RestMilliseconds) * 1e3;

    /// <summary>Milliseconds per token after the first.</summary>
    public double TokenMilliseconds => RestMilliseconds / (Tokens - 1);

    private static double Milliseconds(TimeProvider time, long from, long to) => time.GetElapsedTime(from, to).TotalMilliseconds;
}
