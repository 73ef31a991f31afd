using System.Text;
using OnnxLlm.Text.Bpe;

namespace OnnxLlm.Text;

/// <summary>
/// Learns a byte-level BPE vocabulary: merges the most frequent pair of neighbouring tokens, over and over. Of pairs equally frequent the
/// one with the lower left id goes first, then the one with the lower right id: the order of Hugging Face's trainer. Words are pieces
/// of GPT-2's pre-tokenisation. The result depends on the text alone, not on the order of documents nor on the number of threads.
/// </summary>
public static class BpeTrainer
{
    /// <exception cref="TextException">The vocabulary size leaves no room, a special token is given twice, or there is no text.</exception>
    public static Tokenizer Train(IEnumerable<string> documents, BpeSettings settings, IProgress<TextProgress>? progress = null)
    {
        ArgumentNullException.ThrowIfNull(documents);
        ArgumentNullException.ThrowIfNull(settings);
        Check(settings);
        var words = WordCounts.Of(documents, settings.Threads, progress);
        if (words.Count == 0)
            throw new TextException("there is no text to train a tokenizer on");
        return new Tokenizer(Learn(words, settings, progress));
    }

    private static TokenizerModel Learn(IReadOnlyDictionary<byte[], long> words, BpeSettings settings, IProgress<TextProgress>? progress)
    {
        AddedToken[] added = [.. settings.SpecialTokens.Select((content, id) => new AddedToken(id, content, Special: true) { TakesBlanks = SpecialRoles.IsMask(content) })];
        var learner = new MergeLearner(words, firstId: added.Length);
        int wanted = settings.VocabularySize - added.Length - 256;
        while (learner.TokenCount < 256 + wanted && learner.MergeNext(settings.MinimumCount))
            if (learner.TokenCount % 64 == 0)
                progress?.Report(new TextProgress("learning merges", learner.TokenCount - 256, wanted));
        progress?.Report(new TextProgress("learning merges", wanted, wanted));
        return new TokenizerModel
        {
            Tokens = [.. added.Select(t => Encoding.UTF8.GetBytes(t.Content)), .. learner.Tokens],
            Merges = [.. learner.Merges],
            Added = added,
            Special = SpecialRoles.Of(added),
            ChatTemplate = settings.ChatTemplate,
        };
    }

    private static void Check(BpeSettings settings)
    {
        int least = 256 + settings.SpecialTokens.Length;
        if (settings.VocabularySize < least)
            throw new TextException($"a vocabulary of {settings.VocabularySize} is too small: 256 bytes and {settings.SpecialTokens.Length} special tokens need {least}");
        if (settings.SpecialTokens.GroupBy(t => t, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1 || g.Key.Length == 0) is { } group)
            throw new TextException($"special token '{group.Key}' is empty or given twice");
    }
}
