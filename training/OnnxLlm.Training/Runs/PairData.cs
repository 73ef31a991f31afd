using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>Opens texts with what is to be written for them.</summary>
internal static class PairData
{
    private const string Section = "pairs";

    public static RunData Open(RunConfig config)
    {
        var files = new PairFiles(config.Data, "input", "target");
        var tokenizer = DataTokenizer.OpenKnown(config, Section, config.Pairs.Tokenizer, hash: "");
        var training = Sequences(config, files.Training, tokenizer);
        var held = files.Validation is { } pairs ? Sequences(config, pairs, tokenizer) : null;
        var set = held is null ? null : new ValidationSet(held, config.MicroBatch, config.EvaluateTokens);
        return new RunData
        {
            Config = config,
            Training = RunData.Batches(config, training),
            Validation = set,
            Record = new DataRecord(training.Tokens, held?.Tokens ?? 0, files.Hash(), tokenizer.Hash, set?.Hash() ?? ""),
            Notes = [.. PairFiles.Notes(training, held)],
        };
    }

    private static PairSequences Sequences(RunConfig config, List<TextPair> pairs, Tokenizer tokenizer) =>
        new(pairs.Select(pair => (tokenizer.Encode(pair.Input), tokenizer.Encode(pair.Target))), config.Time, DataTokenizer.WithEnds(config, Section, tokenizer));
}
