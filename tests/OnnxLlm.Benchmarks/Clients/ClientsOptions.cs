namespace OnnxLlm.Benchmarks.Clients;

/// <summary>What the suite is asked for.</summary>
/// <param name="Models">A folder for the model files, so that another run finds them; null: a new one that ends with the suite.</param>
/// <param name="Counts">Clients at a time, each number with a server and step loops of its own.</param>
/// <param name="Prompt">Tokens of each prompt.</param>
/// <param name="Tokens">Tokens of each answer.</param>
/// <param name="Rounds">Turns of each side with the most clients; with fewer, whose turns are shorter, there are more: <see cref="RoundsOf"/>.</param>
/// <param name="Threads">Threads of the forward pass.</param>
/// <param name="PeerRounds">Rounds in which other runtimes' step loops run as well, the first ones: they take most of the time, and are far behind.</param>
/// <param name="Report">The document whose section is rewritten, or null.</param>
internal sealed record ClientsOptions(string? Models, IReadOnlyList<int> Counts, int Prompt, int Tokens, int Rounds, int PeerRounds, int Threads, string? Report)
{
    /// <summary>Tokens of an answer that only warms up.</summary>
    public const int WarmUpTokens = 8;

    /// <summary>Answers that each client asks for in a turn, one after the other.</summary>
    public const int Answers = 2;

    private const int MostTurns = 16;       // of fewer clients, for one of the most

    /// <summary>Every number of clients is measured for about as long: one short turn is at the mercy of the moment.</summary>
    public int RoundsOf(int clients) => Rounds * Math.Min(MostTurns, Counts.Max() / clients);
}
