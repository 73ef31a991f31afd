using OnnxLlm.Text.Shards;

namespace OnnxLlm.Text;

/// <summary>Turns a corpus into token shards: every document once, in order, each followed by the end-of-sequence token.</summary>
public static class CorpusTokenization
{
    private const int DocumentsAtOnce = 256;

    /// <summary>Writes the shards, unless they are there already, undamaged, of this corpus and this tokenizer.</summary>
    /// <exception cref="TextException">The tokenizer has no end-of-sequence token.</exception>
    public static ShardReport Run(Corpus corpus, Tokenizer tokenizer, string folder, bool force = false, IProgress<TextProgress>? progress = null)
    {
        ArgumentNullException.ThrowIfNull(corpus);
        ArgumentNullException.ThrowIfNull(tokenizer);
        if (!force && IsDone(corpus, tokenizer, folder))
            return Report(folder, upToDate: true);
        using var writer = new ShardWriter(folder, Settings(corpus, tokenizer));
        long done = 0, total = corpus.Manifest.Train.Documents + corpus.Manifest.Valid.Documents;
        foreach (var documents in corpus.Documents().Chunk(DocumentsAtOnce))
        {
            var tokens = new int[documents.Length][];
            Parallel.For(0, documents.Length, i => tokens[i] = tokenizer.Encode(documents[i].Text));
            foreach (var (document, ids) in documents.Zip(tokens))
                writer.Add(document.Split, document.Id, ids);
            progress?.Report(new TextProgress("tokenizing", done += documents.Length, total));
        }
        writer.Finish();
        return Report(folder, upToDate: false);
    }

    private static ShardSettings Settings(Corpus corpus, Tokenizer tokenizer) => new()
    {
        VocabularySize = tokenizer.VocabularySize,
        Separator = tokenizer.Special.Eos ?? throw new TextException("the tokenizer has no end-of-sequence token to separate documents with"),
        TokenizerHash = tokenizer.Hash,
        CorpusHash = corpus.Hash,
    };

    private static bool IsDone(Corpus corpus, Tokenizer tokenizer, string folder)
    {
        if (!File.Exists(Path.Combine(folder, ShardIndex.FileName)))
            return false;
        try
        {
            var index = ShardIndex.Read(folder);
            foreach (string split in Split.All)
                TokenShards.Open(folder, split).Dispose();
            return index.Tokenizer == tokenizer.Hash && index.Corpus == corpus.Hash;
        }
        catch (TextException)
        {
            return false;
        }
    }

    private static ShardReport Report(string folder, bool upToDate)
    {
        var splits = ShardIndex.Read(folder).Splits;
        return new ShardReport(splits[Split.Train].Tokens, splits[Split.Valid].Tokens, upToDate);
    }
}

/// <summary>What came of a tokenization.</summary>
/// <param name="TrainTokens">Separators included.</param>
/// <param name="ValidTokens">Separators included.</param>
/// <param name="UpToDate">They were there already; nothing was written.</param>
public sealed record ShardReport(long TrainTokens, long ValidTokens, bool UpToDate);
