namespace OnnxLlm.Serving.Engine;

/// <summary>What the engine's thread has to say about one sequence.</summary>
internal static class SequenceLog
{
    /// <summary>
    /// Writes to the log where the sequence comes from, so that the line is found by the request's id. It takes the message itself: a function in its place would be
    /// an object for every token of those who might call this.
    /// </summary>
    public static void Note(this ILogger logger, Sequence sequence, Exception? fault, string message)
    {
        if (sequence.Origin is { } origin) ExecutionContext.Run(origin, _ => Write(), null);
        else Write();

        void Write() => logger.LogError(fault, "{Message}", message);
    }
}
