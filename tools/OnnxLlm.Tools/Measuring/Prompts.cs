namespace OnnxLlm.Tools.Measuring;

/// <summary>An endless row of prompts of random tokens, no two alike, so that no cache answers.</summary>
internal sealed class Prompts(int vocabulary, int seed, int length = Prompts.Length)
{
    /// <summary>Tokens of a prompt where nothing else is said.</summary>
    public const int Length = 100;

    private readonly Random _random = new(seed);

    public int[] Next() => [.. Enumerable.Range(0, length).Select(_ => _random.Next(vocabulary))];
}
