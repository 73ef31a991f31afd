using System.Text.Json;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

public sealed class ShardTests : IDisposable
{
    private const int Separator = 7;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1000)]
    [InlineData(1 << 16)]
    [InlineData((1 << 16) + 1)]
    public void Read_AnyPlace_GivesTheDocumentsInOrderWithSeparators(int vocabularySize)
    {
        var (train, _) = WriteRandom(vocabularySize, tokensPerShard: 100);
        using var shards = TokenShards.Open(_folder.Path, Split.Train);
        Assert.Equal(train, ReadAll(shards));
        Assert.Equal(vocabularySize, shards.VocabularySize);
        var random = new Random(5);
        for (int i = 0; i < 300; i++)
        {
            int offset = random.Next(train.Length), length = random.Next(train.Length - offset + 1);
            var ids = new int[length];
            shards.Read(offset, ids);
            Assert.Equal(train[offset..(offset + length)], ids);
        }
    }

    [Fact]
    public void Write_BothSplits_AreKeptApart()
    {
        var (train, valid) = WriteRandom(1000, 100);
        using var one = TokenShards.Open(_folder.Path, Split.Train);
        using var other = TokenShards.Open(_folder.Path, Split.Valid);
        Assert.Equal(train, ReadAll(one));
        Assert.Equal(valid, ReadAll(other));
        Assert.Equal("tokenizer", one.TokenizerHash);
    }

    [Theory]
    [InlineData(1 << 16, 2)]
    [InlineData((1 << 16) + 1, 4)]
    public void Write_Ids_TakeTheNarrowestType(int vocabularySize, int width)
    {
        Write(vocabularySize, 100, [1, 2, vocabularySize - 1]);
        Assert.Equal(4 * width, new FileInfo(_folder.File("train-00000.bin")).Length);
        Assert.Equal([1, 0], File.ReadAllBytes(_folder.File("train-00000.bin"))[..2]);
    }

    [Fact]
    public void Write_DocumentList_SaysWhereEachLies()
    {
        Write(100, 4, [1, 2, 3], [], [4, 5]);
        var lines = File.ReadLines(_folder.File("train-documents.jsonl")).Select(line => JsonDocument.Parse(line).RootElement);
        Assert.Equal([("0", 0, 3), ("1", 4, 0), ("2", 5, 2)],
            lines.Select(l => (l.GetProperty("id").GetString()!, l.GetProperty("offset").GetInt32(), l.GetProperty("length").GetInt32())));
        using var shards = TokenShards.Open(_folder.Path, Split.Train);
        Assert.Equal([1, 2, 3, Separator, Separator, 4, 5, Separator], ReadAll(shards));
    }

    [Fact]
    public void Open_EveryFlippedByte_IsDetectedAndNamesTheShard()
    {
        Write(100, 4, [1, 2, 3], [4, 5]);
        byte[] content = File.ReadAllBytes(_folder.File("train-00001.bin"));
        for (int i = 0; i < content.Length; i++)
        {
            byte[] flipped = [.. content];
            flipped[i] ^= 1;
            File.WriteAllBytes(_folder.File("train-00001.bin"), flipped);
            Assert.Contains("train-00001.bin is corrupt", ErrorOfOpen(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Open_ShortOrMissingShard_NamesIt()
    {
        Write(100, 4, [1, 2, 3], [4, 5]);
        using (var file = File.OpenWrite(_folder.File("train-00001.bin")))
            file.SetLength(5);
        Assert.Contains("train-00001.bin has 5 bytes where its index says 6", ErrorOfOpen(), StringComparison.Ordinal);
        File.Delete(_folder.File("train-00001.bin"));
        Assert.Contains("train-00001.bin is missing", ErrorOfOpen(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_DamagedIndex_IsOneLineThatNamesIt()
    {
        Write(100, 4, [1, 2, 3]);
        foreach (string content in (string[])["", "{", "{}", """{"format":1,"colour":"red"}"""])
        {
            _folder.Write("index.json", content);
            Assert.Contains("index.json", ErrorOfOpen(), StringComparison.Ordinal);
            Assert.DoesNotContain('\n', ErrorOfOpen());
        }
    }

    [Fact]
    public void Open_NoShards_SaysSo()
    {
        Assert.Contains("holds no token shards", ErrorOfOpen(), StringComparison.Ordinal);
        Assert.Contains("does not exist", Assert.Throws<TextException>(() => TokenShards.Open(_folder.File("none"), Split.Train)).Message, StringComparison.Ordinal);
        Write(100, 4, [1]);
        Assert.Contains("has no split 'test'; it has train, valid", Assert.Throws<TextException>(() => TokenShards.Open(_folder.Path, "test")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_HeaderlessFilesWithoutIndex_AreAccepted()
    {
        File.WriteAllBytes(_folder.File("train.bin"), [1, 0, 0xFF, 0xFF, 2, 1]);
        File.WriteAllBytes(_folder.File("val.bin"), [5, 0]);
        using var train = TokenShards.Open(_folder.Path, Split.Train);
        using var valid = TokenShards.Open(_folder.Path, Split.Valid);
        Assert.Equal([1, 65535, 258], ReadAll(train));
        Assert.Equal((65536, 6), (train.VocabularySize, valid.VocabularySize));
        File.WriteAllBytes(_folder.File("val.bin"), [5]);
        Assert.Contains("val.bin is not a file of uint16", Assert.Throws<TextException>(() => TokenShards.Open(_folder.Path, Split.Valid)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OutsideTheTokens_IsRefused()
    {
        Write(100, 4, [1, 2, 3]);
        using var shards = TokenShards.Open(_folder.Path, Split.Train);
        Assert.Throws<ArgumentOutOfRangeException>(() => shards.Read(2, new int[3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => shards.Read(-1, new int[1]));
        shards.Read(4, []);
    }

    [Fact]
    public void Write_IdOutsideTheVocabulary_LeavesTheOldShardsAlone()
    {
        Write(100, 4, [1, 2, 3]);
        Assert.Throws<TextException>(() => Write(100, 4, [100]));
        using var shards = TokenShards.Open(_folder.Path, Split.Train);
        Assert.Equal([1, 2, 3, Separator], ReadAll(shards));
        Assert.Empty(Directory.EnumerateFiles(_folder.Path, "*.tmp"));
    }

    [Fact]
    public void Write_Again_ReplacesAllShards()
    {
        Write(100, 4, [1, 2, 3], [4, 5, 6]);
        Write(100, 4, [9]);
        using var shards = TokenShards.Open(_folder.Path, Split.Train);
        Assert.Equal([9, Separator], ReadAll(shards));
        Assert.False(File.Exists(_folder.File("train-00001.bin")));
    }

    private string ErrorOfOpen() => Assert.Throws<TextException>(() => TokenShards.Open(_folder.Path, Split.Train)).Message;

    private static int[] ReadAll(TokenShards shards)
    {
        var ids = new int[shards.Length];
        shards.Read(0, ids);
        return ids;
    }

    private ShardWriter Writer(int vocabularySize, int tokensPerShard) => new(_folder.Path, new ShardSettings
    {
        VocabularySize = vocabularySize,
        Separator = Separator,
        TokenizerHash = "tokenizer",
        CorpusHash = "corpus",
        TokensPerShard = tokensPerShard,
    });

    private void Write(int vocabularySize, int tokensPerShard, params int[][] documents)
    {
        using var writer = Writer(vocabularySize, tokensPerShard);
        foreach (var (number, document) in documents.Index())
            writer.Add(Split.Train, $"{number}", document);
        writer.Finish();
    }

    private (int[] Train, int[] Valid) WriteRandom(int vocabularySize, int tokensPerShard)
    {
        var random = new Random(6);
        var expected = Split.All.ToDictionary(split => split, _ => new List<int>());
        using var writer = Writer(vocabularySize, tokensPerShard);
        for (int i = 0; i < 50; i++)
        {
            string split = Split.All[random.Next(2)];
            int[] document = [.. Enumerable.Range(0, random.Next(60)).Select(_ => random.Next(vocabularySize))];
            writer.Add(split, $"{i}", document);
            expected[split].AddRange([.. document, Separator]);
        }
        writer.Finish();
        return ([.. expected[Split.Train]], [.. expected[Split.Valid]]);
    }
}
