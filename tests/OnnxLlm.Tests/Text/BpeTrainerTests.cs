using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

public sealed class BpeTrainerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// The recorded list holds the first 1000 merges that npm tokenizers 0.23.2 (Hugging Face's Rust) learns from the first 50 files of
    /// the corpus: <c>tokenizer.setPreTokenizer(byteLevelPreTokenizer(false)); tokenizer.train(files)</c>. It reads files by lines.
    /// </summary>
    [Fact]
    public void Train_FixedText_LearnsTheMergesOfHuggingFace()
    {
        string[] recorded = File.ReadAllLines(Repository.PathOf("tests", "OnnxLlm.Tests", "Text", "Recorded", "sotu-merges.txt"));
        var lines = Sotu.Speeches(50).SelectMany(LinesWithEnds);
        Assert.Equal(1000, recorded.Length);
        Assert.Equal(recorded, Merges(BpeTrainer.Train(lines, new BpeSettings { VocabularySize = 1256, SpecialTokens = [] })));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Train_AnyNumberOfThreadsAndOrder_GivesTheSameTokenizer(int threads)
    {
        string[] documents = Sotu.Speeches(12);
        var settings = new BpeSettings { VocabularySize = 2000, Threads = 1 };
        string expected = BpeTrainer.Train(documents, settings).Hash;
        Assert.Equal(expected, BpeTrainer.Train(documents.Reverse(), settings with { Threads = threads }).Hash);
    }

    [Fact]
    public void Train_RepetitiveWords_EqualsRecountingFromScratch()
    {
        var random = new Random(3);
        for (int round = 0; round < 12; round++)
        {
            string[] words = [.. Enumerable.Range(0, 40).Select(_ => new string(random.GetItems("aab".AsSpan(), random.Next(1, 12))))];
            var trained = BpeTrainer.Train(words, new BpeSettings { VocabularySize = 256 + 20, SpecialTokens = [] });
            string[] expected = RecountedMerges(words, 20);
            Assert.Equal(expected, Merges(trained).Take(expected.Length));
        }
    }

    [Fact]
    public void Train_Result_EncodesAnyBytesAndLoadsAgain()
    {
        var tokenizer = BpeTrainer.Train(Sotu.Speeches(5), new BpeSettings { VocabularySize = 1000 });
        tokenizer.Save(_folder.Path);
        var loaded = Tokenizer.Load(_folder.Path);
        Assert.Equal(tokenizer.Hash, loaded.Hash);
        var random = new Random(4);
        for (int i = 0; i < 500; i++)
        {
            byte[] bytes = TokenizerTests.RandomBytes(random);
            Assert.Equal(bytes, loaded.DecodeBytes(loaded.Encode(bytes)));
            Assert.Equal(tokenizer.Encode(bytes), loaded.Encode(bytes));
        }
    }

    [Fact]
    public void Train_SpecialTokens_ComeFirstAndHaveRoles()
    {
        var tokenizer = BpeTrainer.Train(["some <|endoftext|> text, some text"], new BpeSettings { VocabularySize = 300 });
        Assert.Equal((0, 0, 1, null), (tokenizer.Special.Bos, tokenizer.Special.Eos, tokenizer.Special.Pad, tokenizer.Special.Unk));
        Assert.Equal(2, tokenizer.Special.Ids["<|im_start|>"]);
        Assert.Equal([(byte)'!'], tokenizer.Bytes(4).ToArray());
        Assert.DoesNotContain(tokenizer.Encode("<|endoftext|><|pad|><|im_start|>"), tokenizer.IsSpecial);
    }

    [Fact]
    public void Train_TextTooSmallForTheSize_StopsWherePairsOccurOnce()
    {
        var tokenizer = BpeTrainer.Train(["abab", "xyz"], new BpeSettings { VocabularySize = 1000, SpecialTokens = [] });
        Assert.Equal(["a b"], Merges(tokenizer));
    }

    [Fact]
    public void Train_ImpossibleSettings_AreErrors()
    {
        Assert.Contains("need 260", ErrorOf(["text"], new BpeSettings { VocabularySize = 259 }), StringComparison.Ordinal);
        Assert.Contains("given twice", ErrorOf(["text"], new BpeSettings { VocabularySize = 300, SpecialTokens = ["<s>", "<s>"] }), StringComparison.Ordinal);
        Assert.Contains("no text", ErrorOf(["", ""], new BpeSettings { VocabularySize = 300 }), StringComparison.Ordinal);
    }

    [Fact]
    public void Train_DocumentsFailToRead_GivesThatError()
        => Assert.Equal("line 3", ErrorOf(Failing(), new BpeSettings { VocabularySize = 300 }));

    private static IEnumerable<string> Failing()
    {
        yield return "text";
        throw new TextException("line 3");
    }

    private static string ErrorOf(IEnumerable<string> documents, BpeSettings settings)
        => Assert.Throws<TextException>(() => BpeTrainer.Train(documents, settings)).Message;

    private string[] Merges(Tokenizer tokenizer)
    {
        tokenizer.Save(_folder.Path);
        return [.. File.ReadLines(_folder.File("merges.txt")).Skip(1)];
    }

    private static IEnumerable<string> LinesWithEnds(string text)
    {
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = text.IndexOf('\n', start) + 1;
            end = end == 0 ? text.Length : end;
            yield return text[start..end];
        }
    }

    /// <summary>BPE by its definition: count all pairs, merge the best, start over. Stops where a token would be spelled twice.</summary>
    private static string[] RecountedMerges(string[] texts, int count)
    {
        var words = texts.Select(text => text.Select(c => $"{c}").ToList()).ToList();
        var ids = Enumerable.Range('!', 94).Select(c => $"{(char)c}").ToList();
        var merges = new List<string>();
        while (merges.Count < count)
        {
            var best = words.SelectMany(word => word.Zip(word.Skip(1))).GroupBy(pair => pair).Where(g => g.Count() > 1)
                .OrderByDescending(g => g.Count()).ThenBy(g => ids.IndexOf(g.Key.First)).ThenBy(g => ids.IndexOf(g.Key.Second)).FirstOrDefault();
            if (best is null || ids.Contains(best.Key.First + best.Key.Second))
                break;
            ids.Add(best.Key.First + best.Key.Second);
            merges.Add($"{best.Key.First} {best.Key.Second}");
            words.ForEach(word => MergeIn(word, best.Key));
        }
        return [.. merges];
    }

    private static void MergeIn(List<string> word, (string First, string Second) pair)
    {
        for (int i = 0; i + 1 < word.Count; i++)
            if ((word[i], word[i + 1]) == pair)
            {
                word[i] += word[i + 1];
                word.RemoveAt(i + 1);
            }
    }
}
