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
}
