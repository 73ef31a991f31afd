using System.Collections.Immutable;
using System.Security.Cryptography;
using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>Opens texts with labels: <c>train.jsonl</c> and, where there is one, <c>valid.jsonl</c>.</summary>
internal static class LabelledData
{
    /// <summary>The config that comes back has the labels in its model: those that it named before, or else all of the training texts, sorted.</summary>
    public static RunData Open(RunConfig config)
    {
        var (training, validation) = (Read(config, "train") ?? throw new TrainingException($"data: '{config.Data}' has no train.jsonl."), Read(config, "valid"));
        var tokenizer = OpenTokenizer(config);
        config = config with { Model = config.Model with { Labels = LabelsOf(config, training) } };
        var texts = Texts(config, training, tokenizer);
        var held = validation is null ? null : Texts(config, validation, tokenizer);
        var set = held is null ? null : new ValidationSet(held, config.MicroBatch, tokens: null);
        return new RunData
        {
            Config = config,
            Training = new TokenDataset(texts, new EpochOrder(texts.Count, config.Seed), config.GlobalBatch, config.MicroBatch),
            Validation = set,
            Record = new DataRecord(texts.Tokens, held?.Tokens ?? 0, Hash(config), tokenizer.Hash, set?.Hash() ?? ""),
            Notes = [Counts(training), .. Note("train.jsonl", texts), .. held is null ? ["data: there is no valid.jsonl, so nothing is validated"] : Note("valid.jsonl", held)],
        };
    }

    private static string PathOf(RunConfig config, string split) => Path.Combine(config.Data, $"{split}.jsonl");

    private static List<LabelledLine>? Read(RunConfig config, string split)
    {
        if (!File.Exists(PathOf(config, split))) return null;
        var lines = LabelledFile.Read(PathOf(config, split)).ToList();
        return lines.Count > 0 ? lines : throw new TrainingException($"data: '{PathOf(config, split)}' has no texts.");
    }

    private static Tokenizer OpenTokenizer(RunConfig config)
    {
        var tokenizer = DataTokenizer.Open(config, "classification", config.Classification.Tokenizer, hash: "");
        if (tokenizer.VocabularySize > config.Model.VocabularySize)
            throw new TrainingException($"classification: the tokenizer has {tokenizer.VocabularySize} tokens, model.vocab_size is {config.Model.VocabularySize}.");
        var other = config.InitialWeights is { } folder && File.Exists(Path.Combine(folder, "tokenizer.json")) ? Tokenizer.Load(folder) : tokenizer;
        return other.Hash == tokenizer.Hash
            ? tokenizer
            : throw new TrainingException($"classification: the tokenizer is not that of initial_weights, '{config.InitialWeights}'; name that folder in classification.tokenizer.");
    }

    private static ImmutableArray<string> LabelsOf(RunConfig config, List<LabelledLine> training)
    {
        if (config.Model.IsClassifier) return config.Model.Labels;
        ImmutableArray<string> labels = [.. training.Select(line => line.Label).Distinct().Order(StringComparer.Ordinal)];
        return labels.Length > 1 ? labels : throw new TrainingException($"data: all texts of '{PathOf(config, "train")}' have the label '{labels[0]}'; two labels at least are needed.");
    }

    private static LabelledTexts Texts(RunConfig config, List<LabelledLine> lines, Tokenizer tokenizer)
    {
        var labels = config.Model.Labels;
        return lines.FirstOrDefault(line => !labels.Contains(line.Label)) is { } stranger
            ? throw new TrainingException($"{stranger.Place}: the label '{stranger.Label}' is none of the model's: {string.Join(", ", labels)}")
            : new LabelledTexts(lines, labels, tokenizer, config.Time);
    }

    /// <summary>SHA-256 over both files.</summary>
    private static string Hash(RunConfig config)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var path in new[] { PathOf(config, "train"), PathOf(config, "valid") }.Where(File.Exists)) hash.AppendData(SHA256.HashData(File.ReadAllBytes(path)));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string Counts(List<LabelledLine> lines) =>
        $"labels: {string.Join(", ", lines.CountBy(line => line.Label).OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key} × {pair.Value}"))}";

    private static IEnumerable<string> Note(string file, LabelledTexts texts) =>
        texts.Shortened == 0 ? [] : [$"data: of {texts.Shortened} of the {texts.Count} texts of {file} the end is left out: they have more than {texts.Length} tokens"];
}
