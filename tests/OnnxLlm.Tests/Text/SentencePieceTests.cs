using System.Text;
using System.Text.Json.Nodes;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

/// <summary>A LLaMA tokenizer of a few tokens; the real one is compared with others' ids in <see cref="Tools.Stories15mTests"/>.</summary>
public sealed class SentencePieceTests : IDisposable
{
    private const int First = 259;

    private static readonly string[] Words = [" ", "a", "b", "c", " a", "ab", "bc", " ab", "字", "  "];

    private static readonly Tokenizer Tokenizer = SentencePieceVocabulary.Create(
        [.. Enumerable.Repeat(new ScoredPiece([], 0), First), .. Words.Select((word, i) => new ScoredPiece(Encoding.UTF8.GetBytes(word), -i))]);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Encode_Text_StandsBehindASpaceAndMergesTheHighestScoreFirst()
    {
        Assert.Equal([Id(" a")], Tokenizer.Encode("a"));
        Assert.Equal([Id(" a"), Id("bc")], Tokenizer.Encode("abc"));        // " a" before "ab": its score is higher
        Assert.Equal([Id(" a"), Id(" a")], Tokenizer.Encode("a a"));
        Assert.Equal([Id("  "), Id("b")], Tokenizer.Encode(" b"));
        Assert.Equal([], Tokenizer.Encode(""));
    }

    [Fact]
    public void Encode_CharacterWithoutAToken_IsSpelledInBytes() =>
        Assert.Equal([Id(" "), Id("字"), 3 + 0xC3, 3 + 0xA9, 3 + (int)'\n'], Tokenizer.Encode("字é\n"));

    [Fact]
    public void Encode_SpellingsOfTokens_AreOrdinaryText() => Assert.DoesNotContain(Tokenizer.Encode("<s></s><0x0A>"), id => id < 3 || id == 3 + 0x0A);

    [Fact]
    public void EncodePrompt_Text_StandsBehindTheTokenThatBeginsIt() => Assert.Equal([1, Id(" a")], Tokenizer.EncodePrompt("a"));

    [Fact]
    public void Encode_AnyBytes_ComeBackUnchanged()
    {
        var random = new Random(1);
        for (int i = 0; i < 2000; i++)
        {
            byte[] bytes = new byte[random.Next(12)];
            random.NextBytes(bytes);
            if (i % 2 == 0) bytes = Encoding.UTF8.GetBytes(string.Concat(bytes.Select(b => Words[b % Words.Length])));
            Assert.Equal(bytes, Tokenizer.DecodeBytes(Tokenizer.Encode(bytes)));
        }
    }

    [Fact]
    public void Encode_TheSignForASpace_IsASpace() => Assert.Equal(Tokenizer.Encode("a a"), Tokenizer.Encode("a\u2581a"));

    [Fact]
    public void Stream_ContinuedText_KeepsItsSpaces()
    {
        var stream = Tokenizer.Stream();
        Assert.Equal(" a", stream.Append(Id(" a")));
        Assert.Equal("", stream.Append(3 + 0xC3));
        Assert.Equal("é", stream.Append(3 + 0xA9));
    }

    [Fact]
    public void Load_WhatSaveWrote_IsTheSameTokenizer()
    {
        Tokenizer.Save(_folder.Path);
        var loaded = Tokenizer.Load(_folder.Path);
        Assert.Equal(Tokenizer.Hash, loaded.Hash);
        Assert.Equal(Tokenizer.Special with { Ids = loaded.Special.Ids }, loaded.Special);
        Assert.Equal(Tokenizer.EncodePrompt("ab 字 é"), loaded.EncodePrompt("ab 字 é"));
        Assert.False(File.Exists(_folder.File("merges.txt")));
    }

    [Fact]
    public void Load_NoTokenBeforeTexts_AddsNone()
    {
        Edit(json => json["post_processor"] = null);
        Assert.Equal([Id(" a")], Tokenizer.Load(_folder.Path).EncodePrompt("a"));
    }

    [Theory]
    [InlineData("pre_tokenizer", """{"type":"ByteLevel"}""", "$.pre_tokenizer is not what it is for a LLaMA tokenizer")]
    [InlineData("decoder", """{"type":"ByteLevel"}""", "$.decoder is not what it is for a LLaMA tokenizer")]
    [InlineData("post_processor", """{"type":"ByteLevel"}""", "$.post_processor is not supported")]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"}]}""", "$.normalizer is not what it is for a LLaMA tokenizer")]
    [InlineData("model", """{"type":"BPE","byte_fallback":true,"vocab":{"a":0},"merges":[]}""", "no token for byte 0x00; byte fallback needs all 256")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":[]}""", "$.model.byte_fallback is missing")]
    public void Load_UnsupportedComponent_IsNamed(string key, string value, string expected)
    {
        Edit(json => json[key] = JsonNode.Parse(value));
        Assert.Contains(expected, Assert.Throws<TextException>(() => Tokenizer.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_TokenWithASpaceInside_IsRefused() => Assert.Contains("has a space inside", Assert.Throws<TextException>(() => SentencePieceVocabulary.Create(
        [.. Enumerable.Repeat(new ScoredPiece([], 0), First), new("a b"u8.ToArray(), 0)])).Message, StringComparison.Ordinal);

    private static int Id(string word) => First + Array.IndexOf(Words, word);

    private void Edit(Action<JsonNode> edit)
    {
        Tokenizer.Save(_folder.Path);
        var json = JsonNode.Parse(File.ReadAllText(_folder.File("tokenizer.json")))!;
        edit(json);
        File.WriteAllText(_folder.File("tokenizer.json"), json.ToJsonString());
    }
}
