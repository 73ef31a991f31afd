namespace OnnxLlm.Text;

/// <summary>What token shards are made of and how they are cut.</summary>
public sealed record ShardSettings
{
    public required int VocabularySize { get; init; }

    /// <summary>The id written after every document, usually the end-of-sequence token.</summary>
    public required int Separator { get; init; }

    /// <summary>Recorded, so that shards and tokenizer cannot be mixed up.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary>Recorded, so that a finished step is known to be finished.</summary>
    public required string CorpusHash { get; init; }

    /// <summary>A shard is full at this many tokens; documents may go on in the next.</summary>
    public long TokensPerShard { get; init; } = 1 << 26;
}
