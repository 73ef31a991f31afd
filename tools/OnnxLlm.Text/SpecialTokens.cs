using System.Collections.Immutable;

namespace OnnxLlm.Text;

/// <summary>The control tokens of a tokenizer, by role and by spelling.</summary>
public sealed record SpecialTokens
{
    /// <summary>Begins a sequence.</summary>
    public int? Bos { get; init; }

    /// <summary>Models of this tokenizer expect <see cref="Bos"/> before every text.</summary>
    public bool AddsBos { get; init; }

    /// <summary>Ends a sequence, and separates documents in shards.</summary>
    public int? Eos { get; init; }

    /// <summary>Fills a batch; never learned from.</summary>
    public int? Pad { get; init; }

    /// <summary>Stands for what a tokenizer cannot spell; a byte-level one never needs it.</summary>
    public int? Unk { get; init; }

    /// <summary>Stands for a token that a model has to find.</summary>
    public int? Mask { get; init; }

    /// <summary>Every special token by its spelling, chat markers included.</summary>
    public ImmutableSortedDictionary<string, int> Ids { get; init; } = ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal);

    /// <summary>The spelling of a special token, or null where the id is not one.</summary>
    public string? Spelling(int? id) => id is { } wanted ? Ids.FirstOrDefault(pair => pair.Value == wanted).Key : null;
}
