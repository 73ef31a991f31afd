namespace OnnxLlm.Benchmarks.Decode;

/// <summary>How long an answer took: until its first token, and from there to its last.</summary>
internal sealed record AnswerTime(double FirstMilliseconds, double RestMilliseconds, int Tokens)
{
    /// <summary>Tokens per second once the first is there: what the reader of a stream sees.</summary>
    public double StreamRate => (Tokens - 1) / RestMilliseconds * 1e3;

    /// <summary>Tokens per second with the reading of the prompt.</summary>
    public double WholeRate => Tokens / (FirstMilliseconds + RestMilliseconds) * 1e3;
}
