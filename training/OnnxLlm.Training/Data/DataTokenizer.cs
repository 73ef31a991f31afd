using OnnxLlm.Graphs.Models;
using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Data;

/// <summary>The tokenizer that made a run's data.</summary>
internal static class DataTokenizer
{
    /// <param name="section">The section of the config that asks for it and may name it.</param>
    /// <param name="named">Its folder there; where absent, it is in or beside the token shards.</param>
    /// <param name="hash">What the shards say of it; empty where they do not.</param>
    /// <exception cref="TrainingException">There is no tokenizer, or it is not the one that made the data.</exception>
    public static Tokenizer Open(RunConfig config, string section, string? named, string hash)
    {
        string[] places = named is not null ? [named] : [config.Data, Path.Combine(config.Data, "..", "tokenizer"), Path.Combine(config.Data, "tokenizer")];
        var folder = places.FirstOrDefault(place => File.Exists(Path.Combine(place, "tokenizer.json")))
            ?? throw new TrainingException($"{section}: no tokenizer.json in {string.Join(" or ", places)}; name its folder in {section}.tokenizer.");
        var tokenizer = Tokenizer.Load(folder);
        return hash.Length == 0 || tokenizer.Hash == hash
            ? tokenizer
            : throw new TrainingException($"{section}: the tokenizer in '{folder}' is not the one that made '{config.Data}'; name the right folder in {section}.tokenizer.");
    }

    /// <summary>As <see cref="Open"/>; the model, and the weights that it begins with, must know all of its tokens.</summary>
    public static Tokenizer OpenKnown(RunConfig config, string section, string? named, string hash)
    {
        var tokenizer = Open(config, section, named, hash);
        if (tokenizer.VocabularySize > config.Model.VocabularySize)
            throw new TrainingException($"{section}: the tokenizer has {tokenizer.VocabularySize} tokens, model.vocab_size is {config.Model.VocabularySize}.");
        var other = config.InitialWeights is { } folder && File.Exists(Path.Combine(folder, "tokenizer.json")) ? Tokenizer.Load(folder) : tokenizer;
        return other.Hash == tokenizer.Hash
            ? tokenizer
            : throw new TrainingException($"{section}: the tokenizer is not that of initial_weights, '{config.InitialWeights}'; name that folder in {section}.tokenizer.");
    }

    /// <summary>The run's model, an encoder-decoder, with the special tokens that texts begin and end with.</summary>
    /// <exception cref="TrainingException">Neither it nor the tokenizer has them.</exception>
    public static ModelConfig WithEnds(RunConfig config, string section, Tokenizer tokenizer)
    {
        var model = config.Model.WithTokens(tokenizer.Special.Bos, tokenizer.Special.Eos, tokenizer.Special.Pad);
        if (model.EosTokenId is null) throw new TrainingException($"{section}: the tokenizer has no token that ends a text; name one in model.eos_token_id.");
        if (model.DecoderStartTokenId is null) throw new TrainingException($"{section}: the tokenizer has no padding, with which answers begin; name a token in model.decoder_start_token_id.");
        return model;
    }
}
