using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

/// <summary>The content filter on a corpus: the same file as the server's.</summary>
public sealed class CorpusFilterTests : IDisposable
{
    private const string Rules = """
        {"personal_data":"mask","categories":[{"name":"secrets","words":["secret"],"patterns":["code-\\d+"]},
         {"name":"weapons","words":["bomb"],"side":"answer"},{"name":"questions","words":["document"],"side":"prompt"}]}
        """;

    private readonly TemporaryFolder _folder = new();

    public CorpusFilterTests()
    {
        for (int i = 0; i < 60; i++) _folder.Write($"source/{i:D3}.txt", $"text of document {i}");
        _folder.Write("filter.json", Rules);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Prepare_WithPlantedItems_RemovesThemAndCounts()
    {
        _folder.Write("source/planted1.txt", "a SECRET plan");
        _folder.Write("source/planted2.txt", "it is code-17, for the bomb");
        _folder.Write("source/planted3.txt", "no secretary, no bombast: this stays");

        var corpus = Prepare().Corpus;

        string[] ids = [.. corpus.Documents().Select(document => document.Id)];
        Assert.Equal(61, ids.Length);
        Assert.Contains("planted3", ids);
        Assert.DoesNotContain(ids, id => id is "planted1" or "planted2");
        var filtering = corpus.Manifest.Filtering!;
        Assert.Equal(2, filtering.Removed);
        Assert.Equal("secrets 2, weapons 1", Listed(filtering.RemovedFor));
        Assert.Empty(filtering.Masked);
        Assert.Equal(61, corpus.Manifest.Train.Documents + corpus.Manifest.Valid.Documents);
    }

    [Fact]
    public void Prepare_WithPersonalData_MasksItInItsDocument()
    {
        _folder.Write("source/letter.txt", "write to a@example.org or b@example.org, or call +44 20 7946 0958");

        var corpus = Prepare().Corpus;

        Assert.Equal("write to [EMAIL] or [EMAIL], or call [PHONE]", corpus.Documents().Single(document => document.Id == "letter").Text);
        Assert.Equal("email 2, phone 1", Listed(corpus.Manifest.Filtering!.Masked));
        Assert.Equal(0, corpus.Manifest.Filtering.Removed);
    }

    [Fact]
    public void Prepare_WherePersonalDataBlocks_RemovesItsDocument()
    {
        _folder.Write("filter.json", """{"personal_data":"block"}""");
        _folder.Write("source/letter.txt", "write to a@example.org or b@example.org");

        var corpus = Prepare().Corpus;

        Assert.DoesNotContain(corpus.Documents(), document => document.Id == "letter");
        Assert.Equal("email 1", Listed(corpus.Manifest.Filtering!.RemovedFor));
    }

    [Fact]
    public void Prepare_WithAFilter_MovesNoneOfTheOtherDocuments()
    {
        _folder.Write("source/planted.txt", "a secret");
        var before = Prepare(filter: false).Corpus.Documents().ToDictionary(document => document.Id, document => document.Split);

        var after = Prepare().Corpus.Documents().ToArray();

        Assert.Equal(before.Keys.Except(["planted"]), after.Select(document => document.Id));
        Assert.All(after, document => Assert.Equal(before[document.Id], document.Split));
    }

    [Fact]
    public void Prepare_WithAnotherFilter_IsNotUpToDate()
    {
        Assert.False(Prepare(filter: false).UpToDate);
        Assert.DoesNotContain("filtering", File.ReadAllText(_folder.File("corpus/corpus.json")), StringComparison.Ordinal);
        Assert.False(Prepare().UpToDate);
        Assert.True(Prepare().UpToDate);
        _folder.Write("filter.json", """{"categories":[{"name":"secrets","words":["secret"]}]}""");
        Assert.False(Prepare().UpToDate);
    }

    [Theory]
    [InlineData("""{"categories":[{"name":"all","words":["text"]}]}""", "the content filter leaves too little: it removes 60 documents")]
    [InlineData("""{"categories":[{"name":"x"}]}""", "neither words nor patterns")]
    [InlineData("""{"categories":[{"name":"x","words":["y"],"side":"left"}]}""", "prompt, answer or both")]
    public void Prepare_WithAFilterThatCannotBe_IsOneClearLine(string rules, string part)
    {
        _folder.Write("filter.json", rules);

        Assert.Contains(part, Assert.Throws<TextException>(() => Prepare()).Message, StringComparison.Ordinal);
    }

    private static string Listed(IReadOnlyDictionary<string, long> counts) => string.Join(", ", counts.Select(count => $"{count.Key} {count.Value}"));

    private CorpusReport Prepare(bool filter = true) => CorpusPreparation.Run(new CorpusSettings
    {
        Source = _folder.File("source"),
        Folder = _folder.File("corpus"),
        ContentFilter = filter ? _folder.File("filter.json") : null,
    });
}
