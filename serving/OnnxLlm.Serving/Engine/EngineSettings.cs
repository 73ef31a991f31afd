namespace OnnxLlm.Serving.Engine;

internal sealed record EngineSettings
{
    /// <summary>Sequences that may wait for a slot; more are refused.</summary>
    public int QueueLimit { get; init; } = 256;

    /// <summary>Prompt tokens read between two decodes.</summary>
    public int PrefillChunk { get; init; } = 128;

    /// <summary>Only tokens below this are chosen. Models pad their vocabulary; the padding has no text.</summary>
    public int Vocabulary { get; init; } = int.MaxValue;
}

internal enum Admission
{
    Accepted,
    QueueFull,
    EngineDead,
}
