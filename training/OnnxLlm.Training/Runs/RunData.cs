using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>The token shards of a run, opened and checked against its config.</summary>
internal sealed class RunData : IDisposable
{
    /// <summary>The same for every run, whose validations hide the same tokens.</summary>
    private const long ValidationSeed = 0;

    private readonly TokenShards _training;
    private readonly TokenShards _validation;

    /// <exception cref="TrainingException">The shards are missing, too short, or hold ids that the model does not have.</exception>
    public RunData(RunConfig config)
    {
        (_training, _validation) = (Open(config, "train"), Open(config, "valid"));
        var windows = Windows(_training, config, config.Seed);
        Training = new TokenDataset(windows, new EpochOrder(windows.Count, config.Seed), config.GlobalBatch, config.MicroBatch);
        Validation = new ValidationSet(Windows(_validation, config, ValidationSeed), config.MicroBatch, config.EvaluateTokens);
        Record = new DataRecord(_training.Length, _validation.Length, _training.Hash, _training.TokenizerHash, Validation.Hash());
    }

    public TokenDataset Training { get; }

    public ValidationSet Validation { get; }

    public DataRecord Record { get; }

    public void Dispose()
    {
        _training.Dispose();
        _validation.Dispose();
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

    private static TokenWindows Windows(TokenShards shards, RunConfig config, long seed) =>
        new(shards.Length, shards.Read, config.Time, config.Objective == Objective.MaskedLm ? Masking(config, shards.TokenizerHash, seed) : null);

    private static TokenMasking Masking(RunConfig config, string tokenizerHash, long seed)
    {
        var tokenizer = DataTokenizer.Open(config, "masking", config.Masking.Tokenizer, tokenizerHash);
        if (tokenizer.Special.Mask is not { } mask) throw new TrainingException("masking: the tokenizer has no mask token; train one with: tokenizer train --mask");
        if (mask >= config.Model.VocabularySize) throw new TrainingException($"masking: the mask is token {mask}, model.vocab_size is {config.Model.VocabularySize}.");
        var ordinary = Enumerable.Range(0, Math.Min(tokenizer.VocabularySize, config.Model.VocabularySize)).Where(id => !tokenizer.IsSpecial(id) && tokenizer.Bytes(id).Length > 0);
        return new TokenMasking(config.Masking, mask, ordinary, seed);
    }
}
