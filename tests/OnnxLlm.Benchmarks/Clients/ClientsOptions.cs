namespace OnnxLlm.Benchmarks.Clients;

/// <summary>What the suite is asked for.</summary>
/// <param name="Models">A folder for the model files, so that another run finds them; null: a new one that ends with the suite.</param>
/// <param name="Counts">Clients at a time, each number with a server and step loops of its own.</param>
/// <param name="Prompt">Tokens of each prompt.</param>
/// <param name="Tokens">Tokens of each answer.</param>
/// <param name="Rounds">Turns of each side.</param>
/// <param name="Threads">Threads of the forward pass.</param>
/// <param name="PeerRounds">Rounds in which other runtimes' step loops run as well, the first ones: they take most of the time, and are far behind.</param>
/// <param name="Report">The document whose section is rewritten, or null.</param>
internal sealed record ClientsOptions(string? Models, IReadOnlyList<int> Counts, int Prompt, int Tokens, int Rounds, int PeerRounds, int Threads, string? Report)
{
    /// <summary>Tokens of an answer that only warms up.</summary>
    public const int WarmUpTokens = 8;

    /// <summary>Answers before the measured ones: until the prefix cache is full, what it takes is fresh memory, which the system clears page by page.</summary>
    public const int WarmUpAnswers = 30;

    private const int FewestAnswers = 2, AnswersOfOne = 4;

    /// <summary>Answers that each of some clients asks for in a turn, one after the other.</summary>
    public static int Answers(int clients) => Math.Max(FewestAnswers, AnswersOfOne / clients);
}
