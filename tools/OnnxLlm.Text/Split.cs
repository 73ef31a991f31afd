namespace OnnxLlm.Text;

/// <summary>The two parts of a corpus, as they are named in files.</summary>
public static class Split
{
    /// <summary>What is learned from.</summary>
    public const string Train = "train";

    /// <summary>What is held out to measure on.</summary>
    public const string Valid = "valid";

    public static IReadOnlyList<string> All { get; } = [Train, Valid];
}
