namespace OnnxLlm.Tools.Evaluation;

/// <summary>
/// A stretch of the token stream that the model reads at once. It reads tokens <c>Start … Start+Length−1</c>; the one at place i predicts token
/// <c>Start+i+1</c>. Predictions before place <see cref="FirstScored"/> were already scored in an earlier window and only serve as context here.
/// </summary>
internal sealed record EvaluationWindow(long Start, int Length, int FirstScored)
{
    public int Scored => Length - FirstScored;

    /// <summary>
    /// Windows of up to <paramref name="context"/> tokens, <paramref name="stride"/> apart. Every token but the first is scored exactly once: with stride =
    /// context from 1 to context tokens of context; with a smaller stride each (after the first window) from at least context − stride.
    /// Documents are not separated: the stream is read as it was written.
    /// </summary>
    public static IEnumerable<EvaluationWindow> Cut(long tokens, int context, int stride)
    {
        if (context < 1 || stride < 1 || stride > context)
            throw new ToolException($"The stride must be from 1 to the window of {context} tokens, got {stride}.");
        return Walk(tokens, context, stride);
    }

    private static IEnumerable<EvaluationWindow> Walk(long tokens, int context, int stride)
    {
        long next = 1; // the first token without a score
        for (long start = 0; next < tokens; start += stride)
        {
            int length = (int)Math.Min(context, tokens - 1 - start);
            yield return new(start, length, (int)(next - 1 - start));
            next = start + length + 1;
        }
    }
}
