namespace OnnxLlm.Benchmarks.Decode;

/// <summary>An endless row of prompts of random tokens, no two alike, so that no cache answers.</summary>
internal sealed class Prompts(int vocabulary, int seed)
{
    /// <summary>Tokens of a prompt.</summary>
    public const int Length = 100;

    private readonly Random _random = new(seed);

    public int[] Next() => [.. Enumerable.Range(0, Length).Select(_ => _random.Next(vocabulary))];
}
