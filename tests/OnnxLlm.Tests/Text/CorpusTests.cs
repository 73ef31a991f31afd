using System.Text;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

public sealed class CorpusTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Prepare_FolderOfTexts_KeepsEveryDocumentWhole()
    {
        WriteDocuments(0, 60);
        _folder.Write("source/deeper/more.txt", "\uFEFFwith a byte order mark\r\nand a second line");
        _folder.Write("source/blank.txt", " \n");
        _folder.Write("source/other.md", "not of this corpus");
        var corpus = Prepare().Corpus;
        var documents = corpus.Documents().ToList();
        Assert.Equal(61, documents.Count);
        Assert.Equal("with a byte order mark\r\nand a second line", documents.Single(d => d.Id == "deeper/more").Text);
        Assert.Equal("text of document 7", documents.Single(d => d.Id == "007").Text);
        Assert.Equal(documents.Select(d => d.Source).Order(StringComparer.Ordinal), documents.Select(d => d.Source));
        Assert.Equal(corpus.Manifest.Valid.Documents, corpus.Documents(Split.Valid).Count());
        Assert.Equal(corpus.Manifest.Train.Bytes, corpus.Documents(Split.Train).Sum(d => Encoding.UTF8.GetByteCount(d.Text)));
    }

    [Fact]
    public void Prepare_MoreDocuments_MovesNoneOfTheEarlier()
    {
        WriteDocuments(0, 200);
        var before = Prepare().Corpus.Documents().ToDictionary(d => d.Text, d => d.Split);
        WriteDocuments(200, 600);
        var after = Prepare().Corpus.Documents().ToDictionary(d => d.Text, d => d.Split);
        Assert.Equal(600, after.Count);
        Assert.All(before, document => Assert.Equal(document.Value, after[document.Key]));
        // 30 expected of 600 at 5 %; five standard deviations are 27.
        Assert.InRange(after.Values.Count(split => split == Split.Valid), 3, 57);
    }

    [Fact]
    public void Prepare_EqualTexts_AreInOneSplit()
    {
        WriteDocuments(0, 30);
        for (int copy = 0; copy < 20; copy++)
            _folder.Write($"source/copy{copy}.txt", "text of document 3");
        Assert.Single(Prepare().Corpus.Documents().Where(d => d.Text == "text of document 3").Select(d => d.Split).Distinct());
    }

    [Theory]
    [InlineData(0.000001)]
    [InlineData(0.999999)]
    public void Prepare_SmallCorpus_HasBothSplits(double share)
    {
        WriteDocuments(0, 5);
        var corpus = Prepare(share: share).Corpus;
        Assert.Equal(1, Math.Min(corpus.Manifest.Train.Documents, corpus.Manifest.Valid.Documents));
        Assert.Equal(5, corpus.Documents().Count());
    }

    [Fact]
    public void Prepare_OneTextFile_IsCutWithoutLoss()
    {
        var random = new Random(7);
        var text = string.Concat(Enumerable.Range(0, 400).Select(i => $"Paragraph {i} {new string('x', random.Next(300))}\n{(i % 3 == 0 ? "\n" : "")}é"));
        string path = _folder.Write("book.txt", text);
        var documents = Prepare(path).Corpus.Documents().ToList();
        Assert.Equal(text, string.Concat(documents.Select(d => d.Text)));
        Assert.All(documents.SkipLast(1), d => Assert.EndsWith("\n\n", d.Text, StringComparison.Ordinal));
        Assert.All(documents.SkipLast(1), d => Assert.InRange(Encoding.UTF8.GetByteCount(d.Text), 4096, 6000));
        Assert.Equal("book#000001", documents[0].Id);
    }

    [Fact]
    public void Prepare_OneTextFileGrown_ChangesOnlyItsLastDocument()
    {
        string text = string.Concat(Enumerable.Range(0, 500).Select(i => $"Paragraph {i} of many words.\n\n"));
        string path = _folder.Write("book.txt", text);
        var before = Prepare(path).Corpus.Documents().SkipLast(1).Select(d => d.Text).ToList();
        _folder.Write("book.txt", text + text);
        Assert.Equal(before, Prepare(path).Corpus.Documents().Select(d => d.Text).Take(before.Count));
        Assert.True(before.Count > 2);
    }

    [Fact]
    public void Prepare_OneTextFileWithEndMarks_IsCutThere()
    {
        string path = _folder.Write("tales.txt", "first tale\n\nstill first\n<|endoftext|>\nsecond\n<|endoftext|>\n");
        Assert.Equal(["first tale\n\nstill first", "second"], Prepare(path).Corpus.Documents().Select(d => d.Text));
    }

    [Fact]
    public void Prepare_JsonLines_SkipsAndReportsBadLines()
    {
        File.WriteAllBytes(_folder.File("c.jsonl"), [.. """
            {"text":"one","id":"a","extra":[1]}
            not json
            {"txt":"wrong key"}
            ["text"]

            {"text":"two \u00e9 字","id":17}
            {"text":5}
            """u8, .. "\n{\"text\":\"\xff\"}\n{\"text\":\"three\"}"u8]);
        byte[] content = File.ReadAllBytes(_folder.File("c.jsonl"));
        content[content.AsSpan().LastIndexOf("ÿ"u8)] = 0xFF;   // C# writes no invalid UTF-8 by itself
        File.WriteAllBytes(_folder.File("c.jsonl"), content);
        var report = Prepare(_folder.File("c.jsonl"));
        Assert.Equal([("a", "one"), ("17", "two é 字"), ("c:9", "three")], report.Corpus.Documents().Select(d => (d.Id, d.Text)));
        Assert.Equal([2, 3, 4, 7, 8], report.Problems.Select(p => int.Parse(p.Split("c.jsonl:")[1].Split(':')[0])));
        Assert.Contains("is not valid UTF-8", report.Problems[^1], StringComparison.Ordinal);
        Assert.Equal(5, report.Corpus.Manifest.Skipped);
    }

    [Fact]
    public void Prepare_JsonLinesLongerThanTheBuffer_AreReadWhole()
    {
        string[] texts = [.. Enumerable.Range(1, 5).Select(i => new string((char)('a' + i), i * 50_000))];
        string path = _folder.Write("c.jsonl", string.Join('\n', texts.Select(t => $$"""{"text":"{{t}}"}""")));
        Assert.Equal(texts, Prepare(path).Corpus.Documents().Select(d => d.Text));
    }

    [Fact]
    public void Prepare_FolderWithABinaryFile_SkipsIt()
    {
        WriteDocuments(0, 5);
        byte[] noise = new byte[1000];
        new Random(8).NextBytes(noise);
        File.WriteAllBytes(_folder.File("source/noise.txt"), noise);
        var report = Prepare();
        Assert.Equal(5, report.Corpus.Documents().Count());
        Assert.Contains("noise.txt: looks like a binary file", Assert.Single(report.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Prepare_NothingChanged_DoesNothing()
    {
        WriteDocuments(0, 5);
        Assert.False(Prepare().UpToDate);
        var written = File.GetLastWriteTimeUtc(_folder.File("corpus/documents.jsonl"));
        Assert.True(Prepare().UpToDate);
        Assert.Equal(written, File.GetLastWriteTimeUtc(_folder.File("corpus/documents.jsonl")));
        Assert.False(Prepare(share: 0.2).UpToDate);
        _folder.Write("source/000.txt", "changed");
        Assert.False(Prepare(share: 0.2).UpToDate);
        File.AppendAllText(_folder.File("corpus/documents.jsonl"), "damage");
        Assert.False(Prepare(share: 0.2).UpToDate);
    }

    [Fact]
    public void Prepare_SourceThatFails_LeavesTheOldCorpusAlone()
    {
        WriteDocuments(0, 5);
        string hash = Prepare().Corpus.Hash;
        Assert.Contains("is empty", Assert.Throws<TextException>(() => Prepare(_folder.Write("empty.txt", ""))).Message, StringComparison.Ordinal);
        Assert.Equal(hash, Corpus.Open(_folder.File("corpus")).Hash);
        Assert.Equal(2, Directory.GetFiles(_folder.File("corpus")).Length);
    }

    [Fact]
    public void Open_ChangedDocuments_IsAnError()
    {
        WriteDocuments(0, 5);
        Prepare();
        File.AppendAllText(_folder.File("corpus/documents.jsonl"), "{}\n");
        Assert.Contains("prepare it again", Assert.Throws<TextException>(() => Corpus.Open(_folder.File("corpus"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tokenize_Corpus_LosesAndDuplicatesNothing()
    {
        WriteDocuments(0, 100);
        _folder.Write("source/special.txt", "a text that names <|endoftext|> and 字");
        var corpus = Prepare(share: 0.3).Corpus;
        var tokenizer = TokenizerTraining.Run(corpus, new BpeSettings { VocabularySize = 300 }, _folder.File("tokenizer")).Tokenizer;
        CorpusTokenization.Run(corpus, tokenizer, _folder.File("shards"));
        foreach (string split in Split.All)
        {
            string expected = string.Concat(corpus.Documents(split).Select(d => d.Text + "<|endoftext|>"));
            using var shards = TokenShards.Open(_folder.File("shards"), split);
            int[] ids = new int[shards.Length];
            shards.Read(0, ids);
            Assert.Equal(expected, tokenizer.Decode(ids, skipSpecial: false));
            Assert.Equal(corpus.Documents(split).Count(), ids.Count(id => id == tokenizer.Special.Eos));
            Assert.Equal(tokenizer.Hash, shards.TokenizerHash);
        }
    }

    [Fact]
    public void Tokenize_NothingChanged_DoesNothingAndDamageIsRepaired()
    {
        WriteDocuments(0, 20);
        var corpus = Prepare().Corpus;
        var tokenizer = TokenizerTraining.Run(corpus, new BpeSettings { VocabularySize = 270 }, _folder.File("tokenizer")).Tokenizer;
        Assert.False(CorpusTokenization.Run(corpus, tokenizer, _folder.File("shards")).UpToDate);
        Assert.True(CorpusTokenization.Run(corpus, tokenizer, _folder.File("shards")).UpToDate);
        File.WriteAllBytes(_folder.File("shards/train-00000.bin"), [1, 2, 3]);
        Assert.False(CorpusTokenization.Run(corpus, tokenizer, _folder.File("shards")).UpToDate);
        TokenShards.Open(_folder.File("shards"), Split.Train).Dispose();
        var other = TokenizerTraining.Run(corpus, new BpeSettings { VocabularySize = 271 }, _folder.File("tokenizer")).Tokenizer;
        Assert.False(CorpusTokenization.Run(corpus, other, _folder.File("shards")).UpToDate);
    }

    [Fact]
    public void TrainTokenizer_NothingChanged_DoesNothing()
    {
        WriteDocuments(0, 20);
        var corpus = Prepare().Corpus;
        var settings = new BpeSettings { VocabularySize = 270 };
        var first = TokenizerTraining.Run(corpus, settings, _folder.File("tokenizer"));
        var second = TokenizerTraining.Run(corpus, settings, _folder.File("tokenizer"));
        Assert.Equal((false, true, first.Tokenizer.Hash), (first.UpToDate, second.UpToDate, second.Tokenizer.Hash));
        _folder.Write("tokenizer/tokenizer.json", "{}");
        Assert.False(TokenizerTraining.Run(corpus, settings, _folder.File("tokenizer")).UpToDate);
        Assert.False(TokenizerTraining.Run(corpus, settings with { MinimumCount = 5 }, _folder.File("tokenizer")).UpToDate);
    }

    private void WriteDocuments(int from, int to)
    {
        for (int i = from; i < to; i++)
            _folder.Write($"source/{i:D3}.txt", $"text of document {i}");
    }

    private CorpusReport Prepare(string? source = null, double share = 0.05) => CorpusPreparation.Run(new CorpusSettings
    {
        Source = source ?? _folder.File("source"),
        Folder = _folder.File("corpus"),
        ValidationShare = share,
    });
}
