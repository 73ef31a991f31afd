namespace OnnxLlm.Serving.Safety;

/// <summary>Which side of the model a text stands on.</summary>
public enum TextSide
{
    /// <summary>What the model is asked.</summary>
    Prompt,

    /// <summary>What it answers.</summary>
    Answer,
}

/// <summary>Something in a text that a guardrail objects to.</summary>
/// <param name="Start">Where it begins in the text.</param>
/// <param name="End">Behind its last character.</param>
/// <param name="Category">What it is; clients are told.</param>
/// <param name="Replacement">What stands in its place; null where the whole text must not be shown.</param>
public sealed record Finding(int Start, int End, string Category, string? Replacement)
{
    public bool Blocks => Replacement is null;
}

/// <summary>
/// Looks at prompts before generation and at answers while they are written. It sees an answer in overlapping pieces, and nothing that it objects to is shown as long as it is
/// no longer than the largest <see cref="Window"/>. If it throws, the request fails and nothing more is shown. Several requests may call it at a time.
/// </summary>
public interface IGuardrail
{
    /// <summary>What it can find, for those who ask.</summary>
    IReadOnlyList<string> Categories { get; }

    /// <summary>Changes whenever what it finds may change: answers kept before then are not given again. By itself it changes with the program that the guardrail is part of.</summary>
    string Version => $"{GetType().FullName} {GetType().Module.ModuleVersionId}";

    /// <summary>Characters of an answer that it needs held back: as many as the longest text that it objects to has.</summary>
    int Window => 64;

    /// <summary>What it objects to, as places in the text.</summary>
    IEnumerable<Finding> Inspect(string text, TextSide side);
}
