using System.Collections.Immutable;

namespace OnnxLlm.Training.Configuration;

/// <summary>Texts that the model writes while it is trained.</summary>
public sealed record SamplesConfig
{
    /// <summary>Steps between samples; 0 writes none.</summary>
    public int Every { get; init; }

    /// <summary>What each text begins with.</summary>
    public ImmutableArray<string> Prompts { get; init; } = [];

    /// <summary>Tokens that are added to a prompt, as far as the sequence length allows.</summary>
    public int Tokens { get; init; } = 48;

    /// <summary>0 takes the likeliest token each time.</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Folder of the tokenizer; the one in, or beside, the token shards where absent.</summary>
    public string? Tokenizer { get; init; }
}
