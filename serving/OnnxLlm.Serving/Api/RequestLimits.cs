namespace OnnxLlm.Serving.Api;

/// <summary>How much one request may ask for, and how long clients may take.</summary>
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

    /// <summary>Functions on offer.</summary>
    public int Tools { get; init; } = 128;

    /// <summary>Calls that one answer may make.</summary>
    public int Calls { get; init; } = 16;

    /// <summary>Log probabilities that the answers to a request may come with, alternatives included: some hundred megabytes of memory.</summary>
    public long Scores { get; init; } = 1 << 19;

    /// <summary>Numbers that an answer of <c>infer</c> may have: some ten megabytes of JSON.</summary>
    public long InferValues { get; init; } = 1 << 20;

    /// <summary>Tokens told for each mask of <c>fill-mask</c>.</summary>
    public int Candidates { get; init; } = 100;

    /// <summary>Tokens told in an answer of <c>fill-mask</c>, each with the whole text: some ten megabytes of JSON.</summary>
    public int AllCandidates { get; init; } = 1 << 12;

    /// <summary>Labels told in an answer of <c>classify</c>: some ten megabytes of JSON.</summary>
    public int AllLabels { get; init; } = 1 << 17;

    /// <summary>Time for a client to send the head of its request.</summary>
    public TimeSpan HeadPatience { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Time after which a body has to come, and an answer has to be read, at <see cref="SlowestClient"/> at least.</summary>
    public TimeSpan BodyPatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Time for a whole body, however fast it comes: at the slowest rate one of the largest size would take hours.</summary>
    public TimeSpan BodyTime { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Connections at a time, those that stream or wait included; further ones are closed as they come.</summary>
    public int Connections { get; init; } = 4096;

    /// <summary>Bytes per second.</summary>
    public double SlowestClient { get; init; } = 240;

    /// <summary>Prompts times choices: all of them have to fit into the queue.</summary>
    public int Sequences { get; init; } = 256;
}
