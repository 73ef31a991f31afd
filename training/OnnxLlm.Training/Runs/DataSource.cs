using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>What a run trains and validates on, opened and checked against its config.</summary>
/// <param name="TrainingTokens">Their number, and of the validation's.</param>
/// <param name="Hash">Equal hashes, equal texts or tokens.</param>
/// <param name="TokenizerHash">Of the tokenizer that made the tokens; empty where nobody says.</param>
internal sealed record DataSource(ISequenceSource Training, ISequenceSource Validation, long TrainingTokens, long ValidationTokens, string Hash, string TokenizerHash) : IDisposable
{
    /// <summary>The same for every run, whose validations hide the same tokens.</summary>
    private const long ValidationSeed = 0;

    private IReadOnlyList<IDisposable> Owned { get; init; } = [];

    /// <exception cref="TrainingException">The data are missing, too short, or hold ids that the model does not have.</exception>
    public static DataSource Open(RunConfig config) => config.Objective == Objective.Seq2Seq ? Pairs(config) : Shards(config);

    public void Dispose()
    {
        foreach (var owned in Owned) owned.Dispose();
    }

    private static DataSource Shards(RunConfig config)
    {
        var (training, validation) = (ShardsOf(config, "train"), ShardsOf(config, "valid"));
        return new(Windows(training, config, config.Seed), Windows(validation, config, ValidationSeed), training.Length, validation.Length, training.Hash, training.TokenizerHash) { Owned = [training, validation] };
    }

    private static TokenShards ShardsOf(RunConfig config, string split)
    {
        var shards = TokenShards.Open(config.Data, split);
        if (shards.Length < 2)
            throw new TrainingException($"data: '{config.Data}' holds {shards.Length} tokens of {split}, at least 2 are needed.");
        if (shards.VocabularySize > config.Model.VocabularySize)
            throw new TrainingException($"data: '{config.Data}' has ids of a vocabulary of {shards.VocabularySize}, model.vocab_size is {config.Model.VocabularySize}.");
        return shards;
    }

    private static ISequenceSource Windows(TokenShards shards, RunConfig config, long seed) => config.Objective == Objective.SpanCorruption
        ? Spans(shards, config, seed)
        : new TokenWindows(shards.Length, shards.Read, config.Time, config.Objective == Objective.MaskedLm ? Masking(config, shards.TokenizerHash, seed) : null);

    private static SpanSequences Spans(TokenShards shards, RunConfig config, long seed)
    {
        var tokenizer = DataTokenizer.Open(config, "spans", config.Spans.Tokenizer, shards.TokenizerHash);
        ImmutableArray<int> sentinels = [.. BpeSettings.Sentinels.TakeWhile(tokenizer.Special.Ids.ContainsKey).Select(spelling => tokenizer.Special.Ids[spelling])];
        if (sentinels.IsEmpty) throw new TrainingException("spans: the tokenizer has no sentinels; train one with: tokenizer train --sentinels 100");
        return new SpanSequences(shards.Length, shards.Read, config.Time, config.Spans, sentinels, WithEnds(config, tokenizer, "spans"), seed);
    }

    /// <summary>The model with the special tokens that texts begin and end with.</summary>
    private static ModelConfig WithEnds(RunConfig config, Tokenizer tokenizer, string section)
    {
        if (tokenizer.VocabularySize > config.Model.VocabularySize) throw new TrainingException($"{section}: the tokenizer has {tokenizer.VocabularySize} tokens, model.vocab_size is {config.Model.VocabularySize}.");
        var model = config.Model.WithTokens(tokenizer.Special.Bos, tokenizer.Special.Eos, tokenizer.Special.Pad);
        if (model.EosTokenId is null) throw new TrainingException($"{section}: the tokenizer has no token that ends a text; name one in model.eos_token_id.");
        if (model.DecoderStartTokenId is null) throw new TrainingException($"{section}: the tokenizer has no padding, with which answers begin; name a token in model.decoder_start_token_id.");
        return model;
    }

    private static TokenMasking Masking(RunConfig config, string tokenizerHash, long seed)
    {
        var tokenizer = DataTokenizer.Open(config, "masking", config.Masking.Tokenizer, tokenizerHash);
        if (tokenizer.Special.Mask is not { } mask) throw new TrainingException("masking: the tokenizer has no mask token; train one with: tokenizer train --mask");
        if (mask >= config.Model.VocabularySize) throw new TrainingException($"masking: the mask is token {mask}, model.vocab_size is {config.Model.VocabularySize}.");
        var ordinary = Enumerable.Range(0, Math.Min(tokenizer.VocabularySize, config.Model.VocabularySize)).Where(id => !tokenizer.IsSpecial(id) && tokenizer.Bytes(id).Length > 0);
        return new TokenMasking(config.Masking, mask, ordinary, seed);
    }

    private static DataSource Pairs(RunConfig config)
    {
        var tokenizer = DataTokenizer.Open(config, "pairs", config.Pairs.Tokenizer, hash: "");
        var model = WithEnds(config, tokenizer, "pairs");
        var (training, validation) = (Sequences("train"), Sequences("valid"));
        return new(training.Sequences, validation.Sequences, training.Sequences.Tokens, validation.Sequences.Tokens, $"{training.Hash} {validation.Hash}", tokenizer.Hash);

        (PairSequences Sequences, string Hash) Sequences(string split)
        {
            var path = Path.Combine(config.Data, $"{split}.jsonl");
            var pairs = TextPair.Read(path).Select(pair => (tokenizer.Encode(pair.Input), tokenizer.Encode(pair.Target)));
            return (new PairSequences(pairs, config.Time, model), HashOf(path));
        }
    }

    private static string HashOf(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(stream));
    }
}
