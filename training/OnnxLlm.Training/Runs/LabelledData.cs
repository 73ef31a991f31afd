using System.Collections.Immutable;
using OnnxLlm.Text;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>Opens texts with labels.</summary>
internal static class LabelledData
{
    /// <summary>The config that comes back has the labels in its model: those that it named before, or else all of the training texts, sorted.</summary>
    public static RunData Open(RunConfig config)
    {
        var files = new PairFiles(config.Data, "text", "label");
        var (training, validation) = (files.Training, files.Validation);
        var tokenizer = DataTokenizer.OpenKnown(config, "classification", config.Classification.Tokenizer, hash: "");
        config = config with { Model = config.Model with { Labels = LabelsOf(config, files, training) } };
        var texts = Texts(config, training, tokenizer);
        var held = validation is null ? null : Texts(config, validation, tokenizer);
        var set = held is null ? null : new ValidationSet(held, config.MicroBatch, tokens: null);
        return new RunData
        {
            Config = config,
            Training = RunData.Batches(config, texts),
            Validation = set,
            Record = new DataRecord(texts.Tokens, held?.Tokens ?? 0, files.Hash(), tokenizer.Hash, set?.Hash() ?? ""),
            Notes = [Counts(training), .. PairFiles.Notes(texts, held)],
        };
    }

    private static ImmutableArray<string> LabelsOf(RunConfig config, PairFiles files, List<TextPair> training)
    {
        if (config.Model.IsClassifier) return config.Model.Labels;
        ImmutableArray<string> labels = [.. training.Select(line => line.Target).Distinct().Order(StringComparer.Ordinal)];
        return labels.Length > 1 ? labels : throw new TrainingException($"data: all texts of '{files.PathOf("train")}' have the label '{labels[0]}'; two labels at least are needed.");
    }

    private static LabelledTexts Texts(RunConfig config, List<TextPair> lines, Tokenizer tokenizer)
    {
        var labels = config.Model.Labels;
        return lines.FirstOrDefault(line => !labels.Contains(line.Target)) is { } stranger
            ? throw new TrainingException($"{stranger.Place}: the label '{stranger.Target}' is none of the model's: {string.Join(", ", labels)}")
            : new LabelledTexts(lines, labels, tokenizer, config.Time);
    }

    private static string Counts(List<TextPair> lines) =>
        $"labels: {string.Join(", ", lines.CountBy(line => line.Target).OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key} × {pair.Value}"))}";
}
