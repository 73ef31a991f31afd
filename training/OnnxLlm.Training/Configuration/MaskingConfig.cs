namespace OnnxLlm.Training.Configuration;

/// <summary>How tokens are hidden for the objective masked-lm.</summary>
public sealed record MaskingConfig
{
    /// <summary>Share of a sequence's tokens that have to be found.</summary>
    public double Rate { get; init; } = 0.15;

    /// <summary>Share of those that are replaced by the mask; the rest but <see cref="Random"/> stay as they are.</summary>
    public double Mask { get; init; } = 0.8;

    /// <summary>Share of those that are replaced by any other token.</summary>
    public double Random { get; init; } = 0.1;

    /// <summary>Folder of the tokenizer, which knows the mask; the one in, or beside, the token shards where absent.</summary>
    public string? Tokenizer { get; init; }
}
