namespace OnnxLlm.Serving.Api;

/// <summary>How much one request may ask for.</summary>
internal sealed record RequestLimits
{
    public long BodyBytes { get; init; } = 4 << 20;

    public int Choices { get; init; } = 8;

    public int StopSequences { get; init; } = 16;

    /// <summary>Characters of one stop sequence.</summary>
    public int StopLength { get; init; } = 1024;

    public int StopTokens { get; init; } = 64;

    public int BiasEntries { get; init; } = 1024;

    public int Alternatives { get; init; } = 20;

    public int Messages { get; init; } = 4096;

    /// <summary>Prompts times choices: all of them have to fit into the queue.</summary>
    public int Sequences { get; init; } = 256;
}
