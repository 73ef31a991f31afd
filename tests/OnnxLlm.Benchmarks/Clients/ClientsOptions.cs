namespace OnnxLlm.Benchmarks.Clients;

/// <summary>What the suite is asked for.</summary>
/// <param name="Models">A folder for the model files, so that another run finds them; null: a new one that ends with the suite.</param>
/// <param name="Counts">Clients at a time.</param>
/// <param name="Prompt">Tokens of each prompt.</param>
/// <param name="Tokens">Tokens of each answer.</param>
/// <param name="Starts">Times that server and step loop start anew for each number of clients, to take <see cref="RoundsOf"/> turns each.</param>
/// <param name="Threads">Threads of the forward pass.</param>
/// <param name="PeerStarts">Starts in which other runtimes' step loops take a turn as well, the first ones: they take most of the time, and are far behind.</param>
/// <param name="Report">The document whose section is rewritten, or null.</param>
internal sealed record ClientsOptions(string? Models, IReadOnlyList<int> Counts, int Prompt, int Tokens, int Starts, int PeerStarts, int Threads, string? Report)
{
    /// <summary>Tokens of an answer that only warms up.</summary>
    public const int WarmUpTokens = 8;

    /// <summary>Answers that each client asks for in a turn, one after the other.</summary>
    public const int Answers = 2;

    private const int MostTurns = 16;       // of fewer clients, for one of the most

    /// <summary>Turns of each side in a start. Every number of clients is measured for about as long: one short turn is at the mercy of the moment.</summary>
    public int RoundsOf(int clients) => Math.Min(MostTurns, Counts.Max() / clients);
}
