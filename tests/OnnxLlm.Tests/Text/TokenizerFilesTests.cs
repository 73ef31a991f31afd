using System.Text.Json.Nodes;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Text;

public sealed class TokenizerFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_WhatSaveWrote_IsTheSameTokenizer()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        var loaded = Tokenizer.Load(_folder.Path);
        AssertSame(loaded);
    }

    [Fact]
    public void Load_OnlyVocabularyAndMerges_IsTheSameTokenizer()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        File.Delete(_folder.File("tokenizer.json"));
        AssertSame(Tokenizer.Load(_folder.Path));
    }

    [Fact]
    public void Save_Twice_WritesTheSameBytes()
    {
        Gpt2.Tokenizer.Save(_folder.File("one"));
        Tokenizer.Load(_folder.File("one")).Save(_folder.File("two"));
        foreach (string name in (string[])["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"])
            Assert.Equal(File.ReadAllBytes(_folder.File($"one/{name}")), File.ReadAllBytes(_folder.File($"two/{name}")));
    }

    [Fact]
    public void Load_MergesAsPairs_AreReadLikeLines()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        Edit("tokenizer.json", json =>
        {
            var merges = json["model"]!["merges"]!.AsArray().Select(m => new JsonArray([.. m!.GetValue<string>().Split(' ').Select(t => (JsonNode)t)]));
            json["model"]!["merges"] = new JsonArray([.. merges]);
        });
        AssertSame(Tokenizer.Load(_folder.Path));
    }

    [Fact]
    public void Load_TokenizerConfig_GivesRolesMarkersAndTemplate()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        AddSpecial(50257, "<|im_start|>");
        AddSpecial(50258, "<|im_end|>");
        _folder.Write("tokenizer_config.json", """
            {"bos_token": null, "eos_token": {"content": "<|im_end|>"}, "chat_template": "{{ messages }}"}
            """);
        var tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal((null, 50258), (tokenizer.Special.Bos, tokenizer.Special.Eos));
        Assert.Equal("{{ messages }}", tokenizer.ChatTemplate);
        Assert.Equal(["<|endoftext|>", "<|im_end|>", "<|im_start|>"], tokenizer.Special.Ids.Keys);
        Assert.NotEqual(Gpt2.Tokenizer.Hash, tokenizer.Hash);
        Assert.DoesNotContain(tokenizer.Encode("<|im_start|>system<|im_end|>"), tokenizer.IsSpecial);
        Assert.Equal([50257, .. tokenizer.Encode("user"), 50258], tokenizer.Encode("<|im_start|>user<|im_end|>", allowSpecial: true));
    }

    [Fact]
    public void Load_AddedTokenThatIsNotSpecial_IsFoundInAllTextAndDecoded()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        AddToken(50257, "<tab>", special: false);
        var tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal([64, 50257, 65], tokenizer.Encode("a<tab>b"));
        Assert.Equal("a<tab>b", tokenizer.Decode([64, 50257, 65]));
        Assert.False(tokenizer.IsSpecial(50257));
    }

    [Fact]
    public void Load_TokenWithARole_IsSpecialWhateverItsFlag()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        AddToken(50257, "<end>", special: false);
        _folder.Write("tokenizer_config.json", "{\"eos_token\": \"<end>\"}");
        var tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal(50257, tokenizer.Special.Eos);
        Assert.DoesNotContain(50257, tokenizer.Encode("a<end>b"));
    }

    [Fact]
    public void Load_RoleThatTheVocabularyLacks_IsAnError()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        _folder.Write("tokenizer_config.json", "{\"eos_token\": \"<end>\"}");
        Assert.Contains("'<end>' is not a special token", Assert.Throws<TextException>(() => Tokenizer.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_SpecialTokensWithACommonStart_TakesTheLongest()
    {
        Gpt2.Tokenizer.Save(_folder.Path);
        AddSpecial(50257, "<|a");
        AddSpecial(50258, "<|a|>");
        Assert.Equal([50258, 50257], Tokenizer.Load(_folder.Path).Encode("<|a|><|a", allowSpecial: true));
    }

    [Theory]
    [InlineData("normalizer", """{"type":"NFC"}""", "$.normalizer is 'NFC'")]
    [InlineData("pre_tokenizer", """{"type":"Metaspace"}""", "$.pre_tokenizer is 'Metaspace'")]
    [InlineData("pre_tokenizer", """{"type":"ByteLevel","add_prefix_space":true}""", "$.pre_tokenizer.add_prefix_space is true")]
    [InlineData("pre_tokenizer", "null", "$.pre_tokenizer is null")]
    [InlineData("post_processor", """{"type":"TemplateProcessing"}""", "$.post_processor is 'TemplateProcessing'")]
    [InlineData("decoder", """{"type":"WordPiece"}""", "$.decoder is 'WordPiece'")]
    [InlineData("model", """{"type":"Unigram"}""", "$.model is 'Unigram'")]
    [InlineData("model", """{"type":"BPE","byte_fallback":true}""", "$.model.byte_fallback is true")]
    [InlineData("model", """{"type":"BPE","end_of_word_suffix":"</w>"}""", "$.model.end_of_word_suffix is '</w>'")]
    [InlineData("model", """{"type":"BPE","vocab":{}}""", "$.model.merges is missing")]
    [InlineData("model", """{"type":"BPE","vocab":{},"merges":[]}""", "no token for byte 0x00")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":["a b"]}""", "needs the token 'b'")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":["a"]}""", "merge 'a' is not two tokens")]
    [InlineData("model", """{"type":"BPE","vocab":{"字":0},"merges":[]}""", "token '字' (id 0) is not spelled")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":999999999},"merges":[]}""", "far beyond")]
    [InlineData("added_tokens", """[{"id":0,"content":"<x>","rstrip":true}]""", "$.added_tokens[0].rstrip is true")]
    public void Load_UnsupportedComponent_IsNamed(string key, string value, string expected)
    {
        BpeTrainer.Train(["a small text"], new BpeSettings { VocabularySize = 260 }).Save(_folder.Path);
        File.Delete(_folder.File("tokenizer_config.json"));
        Edit("tokenizer.json", json =>
        {
            json["added_tokens"] = new JsonArray();
            json[key] = JsonNode.Parse(value);
        });
        string message = Assert.Throws<TextException>(() => Tokenizer.Load(_folder.Path)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Mask_WithItsRoleAndItsBlanks_IsWrittenAndReadAgain()
    {
        var tokenizer = BpeTrainer.Train(["a small text"], new BpeSettings { VocabularySize = 265, SpecialTokens = ["<|endoftext|>", BpeSettings.MaskToken] });
        tokenizer.Save(_folder.Path);
        var read = Tokenizer.Load(_folder.Path);
        Assert.Equal((1, tokenizer.Hash), (read.Special.Mask, read.Hash));
        Assert.Contains("\"mask_token\": \"<mask>\"", File.ReadAllText(_folder.File("tokenizer_config.json")), StringComparison.Ordinal);

        // The blank before a mask is part of what it stands for; other special tokens are what they look like.
        int[] expected = [.. read.Encode("a"), 1, .. read.Encode(" text<|endoftext|>")];
        Assert.Equal(expected, read.EncodeMasked("a <mask> text<|endoftext|>"));
        Assert.Equal("a <mask>", read.Decode(read.Encode("a <mask>")));
        Assert.DoesNotContain(1, read.Encode("a <mask>"));
        Assert.Equal([1, .. read.Encode("x"), 1], read.Encode("<mask>x  <mask>", allowSpecial: true));
    }

    [Fact]
    public void TokenizerWithoutMask_IsWrittenAsEver()
    {
        BpeTrainer.Train(["a small text"], new BpeSettings { VocabularySize = 265 }).Save(_folder.Path);
        Assert.DoesNotContain("mask", File.ReadAllText(_folder.File("tokenizer_config.json")), StringComparison.Ordinal);
        Assert.Null(Tokenizer.Load(_folder.Path).Special.Mask);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("")]
    [InlineData("{}")]
    public void Load_NotATokenizerJson_NamesTheFile(string content)
    {
        string path = _folder.Write("tokenizer.json", content);
        Assert.StartsWith(path, Assert.Throws<TextException>(() => Tokenizer.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_EmptyOrMissingFolder_SaysWhatIsExpected()
    {
        Assert.Contains("neither tokenizer.json nor vocab.json and merges.txt", Assert.Throws<TextException>(() => Tokenizer.Load(_folder.Path)).Message, StringComparison.Ordinal);
        Assert.Contains("does not exist", Assert.Throws<TextException>(() => Tokenizer.Load(_folder.File("nothing"))).Message, StringComparison.Ordinal);
    }

    private static void AssertSame(Tokenizer tokenizer)
    {
        Assert.Equal(Gpt2.Tokenizer.Hash, tokenizer.Hash);
        Assert.Equal(Gpt2.Tokenizer.Special.Eos, tokenizer.Special.Eos);
        Assert.All(Gpt2.Vectors, vector => Assert.Equal(vector.Ids, tokenizer.Encode(vector.Text)));
    }

    private void AddSpecial(int id, string content) => AddToken(id, content, special: true);

    private void AddToken(int id, string content, bool special) => Edit("tokenizer.json", json => json["added_tokens"]!.AsArray()
        .Add(new JsonObject { ["id"] = id, ["content"] = content, ["special"] = special }));

    private void Edit(string name, Action<JsonNode> edit)
    {
        var json = JsonNode.Parse(File.ReadAllText(_folder.File(name)))!;
        edit(json);
        File.WriteAllText(_folder.File(name), json.ToJsonString());
    }
}
