using OnnxLlm.Text.Files;

namespace OnnxLlm.Text;

/// <summary>Trains a tokenizer on the training documents of a corpus and saves it with a note of what it was made from.</summary>
public static class TokenizerTraining
{
    private const string RecordName = "training.json";

    /// <summary>Trains and saves, unless the folder holds the result already.</summary>
    public static TokenizerReport Run(Corpus corpus, BpeSettings settings, string folder, bool force = false, IProgress<TextProgress>? progress = null)
    {
        ArgumentNullException.ThrowIfNull(corpus);
        ArgumentNullException.ThrowIfNull(settings);
        string inputs = Inputs(corpus, settings), record = Path.Combine(folder, RecordName);
        if (!force && Finished(folder, inputs) is { } finished)
            return new TokenizerReport(finished, UpToDate: true);
        var tokenizer = BpeTrainer.Train(corpus.Documents(Split.Train).Select(d => d.Text), settings, progress);
        tokenizer.Save(folder);
        Json.Write(record, new TrainingRecord(inputs, corpus.Hash, tokenizer.Hash));
        return new TokenizerReport(tokenizer, UpToDate: false);
    }

    private static string Inputs(Corpus corpus, BpeSettings settings) => Checksum.Of(
        ["bpe 1", corpus.Hash, $"{settings.VocabularySize} {settings.MinimumCount}", settings.ChatTemplate ?? "", .. settings.SpecialTokens]);

    private static Tokenizer? Finished(string folder, string inputs)
    {
        string path = Path.Combine(folder, RecordName);
        if (!File.Exists(path))
            return null;
        try
        {
            var record = Json.Read<TrainingRecord>(path);
            var tokenizer = record.Inputs == inputs ? Tokenizer.Load(folder) : null;
            return tokenizer?.Hash == record.Tokenizer ? tokenizer : null;
        }
        catch (TextException)
        {
            return null;
        }
    }

    /// <param name="Inputs">Hash of corpus and settings.</param>
    /// <param name="Corpus">Hash of the corpus.</param>
    /// <param name="Tokenizer">Hash of the result.</param>
    private sealed record TrainingRecord(string Inputs, string Corpus, string Tokenizer);
}

/// <summary>What came of a tokenizer's training.</summary>
/// <param name="Tokenizer">Ready to be used.</param>
/// <param name="UpToDate">It was there already; nothing was written.</param>
public sealed record TokenizerReport(Tokenizer Tokenizer, bool UpToDate);
