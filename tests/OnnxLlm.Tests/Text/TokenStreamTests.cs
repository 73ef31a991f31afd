using System.Text;

namespace OnnxLlm.Tests.Text;

public sealed class TokenStreamTests
{
    [Fact]
    public void Append_AnyIds_TogetherEqualOneDecode()
    {
        var random = new Random(2);
        for (int i = 0; i < 3000; i++)
        {
            int[] ids = [.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => RandomId(random))];
            Assert.Equal(Gpt2.Tokenizer.Decode(ids), Streamed(ids));
        }
    }

    [Fact]
    public void Append_ValidText_NeverShowsTheReplacementCharacter()
    {
        foreach (var vector in Gpt2.Vectors.Where(v => !v.Text.Contains('\ufffd', StringComparison.Ordinal)))
        {
            var stream = Gpt2.Tokenizer.Stream();
            Assert.All(vector.Ids, id => Assert.DoesNotContain('\ufffd', stream.Append(id)));
            Assert.Equal("", stream.Finish());
        }
    }

    [Fact]
    public void Append_CharacterOfSeveralTokens_AppearsWithItsLast()
    {
        int[] ids = Gpt2.Tokenizer.Encode([0xF0, 0x9F, 0xA6, 0x96]);   // U+1F996, which GPT-2 needs several tokens for
        Assert.True(ids.Length > 1);
        var stream = Gpt2.Tokenizer.Stream();
        string[] pieces = [.. ids.Select(stream.Append)];
        Assert.All(pieces[..^1], piece => Assert.Equal("", piece));
        Assert.Equal("\U0001F996", pieces[^1]);
    }

    [Fact]
    public void Finish_IncompleteCharacter_IsTheReplacementCharacter()
    {
        var stream = Gpt2.Tokenizer.Stream();
        Assert.Equal("", stream.Append(Gpt2.Tokenizer.Encode([0xE5])[0]));
        Assert.Equal("\ufffd", stream.Finish());
        Assert.Equal("", stream.Finish());
    }

    [Fact]
    public void Append_SpecialToken_IsSilentUnlessAsked()
    {
        int end = Gpt2.Tokenizer.Special.Eos!.Value;
        Assert.Equal("", Gpt2.Tokenizer.Stream().Append(end));
        Assert.Equal("<|endoftext|>", Gpt2.Tokenizer.Stream(skipSpecial: false).Append(end));
    }

    // Two in three are single bytes, mostly of characters longer than one.
    private static int RandomId(Random random) => random.Next(3) switch
    {
        0 => random.Next(Gpt2.Tokenizer.VocabularySize),
        1 => Gpt2.Tokenizer.Encode([(byte)random.Next(0x80, 0xC0)])[0],
        _ => Gpt2.Tokenizer.Encode([(byte)random.Next(0x80, 0x100)])[0],
    };

    private static string Streamed(int[] ids)
    {
        var stream = Gpt2.Tokenizer.Stream();
        var text = new StringBuilder();
        foreach (int id in ids)
            text.Append(stream.Append(id));
        return text.Append(stream.Finish()).ToString();
    }
}
