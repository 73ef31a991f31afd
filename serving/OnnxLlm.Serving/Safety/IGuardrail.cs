namespace OnnxLlm.Serving.Safety;

/// <summary>Which side of the model a text stands on.</summary>
internal enum TextSide
{
    /// <summary>What the model is asked.</summary>
    Prompt,

    /// <summary>What it answers.</summary>
    Answer,
}

/// <summary>Something in a text that a guardrail objects to.</summary>
/// <param name="Replacement">What stands in its place; null where the whole text must not be shown.</param>
internal sealed record Finding(int Start, int End, string Category, string? Replacement)
{
    public bool Blocks => Replacement is null;
}

/// <summary>
/// Looks at prompts before generation and at answers while they are written. It sees an answer in overlapping pieces, and nothing that it objects to is shown as long as it is
/// no longer than the window of <see cref="GuardedText"/>. If it throws, the request fails and nothing more is shown.
/// </summary>
internal interface IGuardrail
{
    /// <summary>What it can find, for those who ask.</summary>
    IReadOnlyList<string> Categories { get; }

    IEnumerable<Finding> Inspect(string text, TextSide side);
}
