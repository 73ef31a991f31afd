using System.Collections.Immutable;

namespace OnnxLlm.Text;

/// <summary>What tokenizer to train.</summary>
public sealed record BpeSettings
{
    /// <summary>Special tokens, the 256 bytes and merges together. The result is smaller where the text holds too few repeated pairs.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>A pair seen less often is not merged.</summary>
    public int MinimumCount { get; init; } = 2;

    /// <summary>
    /// They take the first ids, as in Hugging Face's trainer. Well-known spellings get their roles; the chat markers cost two ids and
    /// save retraining when the model is tuned for chat.
    /// </summary>
    public ImmutableArray<string> SpecialTokens { get; init; } = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"];

    /// <summary>The token that stands for one to be found, for encoders.</summary>
    public const string MaskToken = "<mask>";

    /// <summary>The tokens that stand for spans to be found, for encoder-decoders, as many as are wanted: T5's spellings.</summary>
    public static IEnumerable<string> Sentinels => Enumerable.Range(0, int.MaxValue).Select(number => FormattableString.Invariant($"<extra_id_{number}>"));

    public string? ChatTemplate { get; init; }

    /// <summary>0 is one per core. The result is the same for any number.</summary>
    public int Threads { get; init; }
}
