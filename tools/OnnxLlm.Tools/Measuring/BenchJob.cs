namespace OnnxLlm.Tools.Measuring;

/// <summary>What a model or a server is asked for while it is measured.</summary>
internal sealed record BenchJob
{
    /// <summary>Folder of a model package, or address of a server.</summary>
    public required string Target { get; init; }

    public int PromptTokens { get; init; } = Prompts.Length;

    /// <summary>Tokens of an answer.</summary>
    public int Tokens { get; init; } = 128;

    /// <summary>Answers that are timed; rounded up to whole rounds of all clients.</summary>
    public int Answers { get; init; } = 20;

    /// <summary>Requests at a time; with a package, sequences decoded together.</summary>
    public int Clients { get; init; } = 1;

    /// <summary>Rounds before those that are timed: allocation, thread pools, just-in-time compilation.</summary>
    public int WarmUp { get; init; } = 3;

    /// <summary>Threads of the runtime; 0 = all cores.</summary>
    public int Threads { get; init; }

    /// <summary>What the machine can do at best, in 10⁹ operations per second; null: measured, where the model runs on this machine.</summary>
    public double? PeakGflops { get; init; }

    public int Rounds => (Answers + Clients - 1) / Clients;

    /// <summary>Answers of all timed rounds.</summary>
    public int TimedAnswers => Rounds * Clients;
}

/// <summary>What was seen of a target.</summary>
/// <param name="Model">Its name.</param>
/// <param name="Answers">The times of each answer, or of each group of sequences that were decoded together.</param>
/// <param name="Seconds">From the first request to the last token, of all answers.</param>
internal sealed record BenchRun(string Model, IReadOnlyList<AnswerTime> Answers, double Seconds);
