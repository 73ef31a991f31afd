namespace OnnxLlm.Serving.Engine;

internal sealed record EncoderSettings
{
    /// <summary>Texts that may wait; more are refused.</summary>
    public int QueueLimit { get; init; } = 256;

    /// <summary>Texts read together, at most.</summary>
    public int Rows { get; init; } = 8;

    /// <summary>Tokens read together, padding included, at most; one text is read however long it is.</summary>
    public int Tokens { get; init; } = 4096;

    /// <summary>Only so many of a place's scores are looked at. Models pad their vocabulary; the padding has no text.</summary>
    public int Scores { get; init; } = int.MaxValue;
}
