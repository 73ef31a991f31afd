namespace OnnxLlm.Training.Configuration;

/// <summary>How spans of tokens are hidden for the objective span-corruption.</summary>
public sealed record SpansConfig
{
    /// <summary>Share of a sequence's tokens that are hidden.</summary>
    public double Rate { get; init; } = 0.15;

    /// <summary>Tokens of a span in the mean.</summary>
    public double Length { get; init; } = 3;

    /// <summary>Folder of the tokenizer, which knows the sentinels; the one in, or beside, the token shards where absent.</summary>
    public string? Tokenizer { get; init; }
}
