using System.Collections.Immutable;
using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>Opens token shards, their splits train and valid.</summary>
internal static class ShardData
{
    /// <summary>The same for every run, whose validations hide the same tokens.</summary>
    private const long ValidationSeed = 0;

    public static RunData Open(RunConfig config)
    {
        var (training, validation) = (Open(config, "train"), Open(config, "valid"));
        var windows = Windows(training, config, config.Seed);
        var set = new ValidationSet(Windows(validation, config, ValidationSeed), config.MicroBatch, config.EvaluateTokens);
        return new RunData
        {
            Config = config,
            Training = RunData.Batches(config, windows),
            Validation = set,
            Record = new DataRecord(training.Length, validation.Length, training.Hash, training.TokenizerHash, set.Hash()),
            Owned = [training, validation],
        };
    }

    private static TokenShards Open(RunConfig config, string split)
    {
        var shards = TokenShards.Open(config.Data, split);
        if (shards.Length < 2)
            throw new TrainingException($"data: '{config.Data}' holds {shards.Length} tokens of {split}, at least 2 are needed.");
        if (shards.VocabularySize > config.Model.VocabularySize)
            throw new TrainingException($"data: '{config.Data}' has ids of a vocabulary of {shards.VocabularySize}, model.vocab_size is {config.Model.VocabularySize}.");
        return shards;
    }

    private static ISequences Windows(TokenShards shards, RunConfig config, long seed) => config.Objective == Objective.SpanCorruption
        ? Spans(shards, config, seed)
        : new TokenWindows(shards.Length, shards.Read, config.Time, config.Objective == Objective.MaskedLm ? Masking(config, shards.TokenizerHash, seed) : null);

    private static SpanSequences Spans(TokenShards shards, RunConfig config, long seed)
    {
        var tokenizer = DataTokenizer.OpenKnown(config, "spans", config.Spans.Tokenizer, shards.TokenizerHash);
        ImmutableArray<int> sentinels = [.. BpeSettings.Sentinels.TakeWhile(tokenizer.Special.Ids.ContainsKey).Select(spelling => tokenizer.Special.Ids[spelling])];
        if (sentinels.IsEmpty) throw new TrainingException("spans: the tokenizer has no sentinels; train one with: tokenizer train --sentinels 100");
        return new SpanSequences(shards.Length, shards.Read, config.Time, config.Spans, sentinels, DataTokenizer.WithEnds(config, "spans", tokenizer), seed);
    }

    private static TokenMasking Masking(RunConfig config, string tokenizerHash, long seed)
    {
        var tokenizer = DataTokenizer.Open(config, "masking", config.Masking.Tokenizer, tokenizerHash);
        if (tokenizer.Special.Mask is not { } mask) throw new TrainingException("masking: the tokenizer has no mask token; train one with: tokenizer train --mask");
        if (mask >= config.Model.VocabularySize) throw new TrainingException($"masking: the mask is token {mask}, model.vocab_size is {config.Model.VocabularySize}.");
        var ordinary = Enumerable.Range(0, Math.Min(tokenizer.VocabularySize, config.Model.VocabularySize)).Where(id => !tokenizer.IsSpecial(id) && tokenizer.Bytes(id).Length > 0);
        return new TokenMasking(config.Masking, mask, ordinary, seed);
    }
}
