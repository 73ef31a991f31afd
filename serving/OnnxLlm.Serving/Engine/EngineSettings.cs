namespace OnnxLlm.Serving.Engine;

internal sealed record EngineSettings
{
    /// <summary>Sequences that may wait for a slot; more are refused.</summary>
    public int QueueLimit { get; init; } = 256;

    /// <summary>Prompt tokens read between two decodes, at most.</summary>
    public int PrefillChunk { get; init; } = 128;

    /// <summary>
    /// Tokens leave the engine at most once in this time, those in between with the next; a sequence's first and last at once. Waking the
    /// reader of a stream costs more than a small model needs for a token.
    /// </summary>
    public TimeSpan DeliveryPace { get; init; }

    /// <summary>Bytes of keys and values that are kept of sequences that have ended, and of those that a more urgent one interrupts; 0 for none, and no interruption.</summary>
    public long PrefixCacheBytes { get; init; } = 256 << 20;

    /// <summary>Beginnings with fewer tokens are read again rather than copied.</summary>
    public int ShortestPrefix { get; init; } = 16;

    /// <summary>Time between two tokens that is aimed at by decoding fewer sequences together; zero for no aim.</summary>
    public TimeSpan LatencyTarget { get; init; }

    /// <summary>Tokens guessed ahead where one sequence is decoded alone, at most; 0 for none.</summary>
    public int Speculation { get; init; }

    /// <summary>Only tokens below this are chosen. Models pad their vocabulary; the padding has no text.</summary>
    public int Vocabulary { get; init; } = int.MaxValue;
}

internal enum Admission
{
    Accepted,
    QueueFull,
    EngineDead,
}
