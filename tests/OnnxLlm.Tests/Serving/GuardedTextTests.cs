using OnnxLlm.Serving;
using OnnxLlm.Serving.Safety;
using OnnxLlm.Text.Filtering;

namespace OnnxLlm.Tests.Serving;

/// <summary>How text passes the guardrails when it comes in pieces.</summary>
public sealed class GuardedTextTests
{
    private const int Window = 24;

    private static readonly Guardrails Rails = new([new WordFilter(new ContentCategory("violence", ["bomb", "poison gas", "炸弹"], [@"kill\w*"])), new PersonalDataFilter(blocks: false)], Window);

    [Theory]
    [InlineData("all is well", "all is well", false)]
    [InlineData("how a bomb is made", "how a ", true)]
    [InlineData("a Bomb!", "a ", true)]
    [InlineData("a bombastic speech", "a bombastic speech", false)]
    [InlineData("poison gas", "", true)]
    [InlineData("they killed", "they ", true)]
    [InlineData("做炸弹的", "做", true)]
    [InlineData("write to a.b@example.org please", "write to [EMAIL] please", false)]
    [InlineData("a@example.org", "[EMAIL]", false)]
    [InlineData("a@example.org made a bomb", "[EMAIL] made a ", true)]
    public void Text_HoweverItIsCut_GivesTheSame(string text, string expected, bool blocked)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var guarded = Rails.Begin()!;
            var shown = string.Concat(text.Chunk(size).Select(piece => guarded.Append(new string(piece)))) + guarded.Finish();
            Assert.Equal((expected, blocked), (shown, guarded.IsBlocked));
        }
    }

    [Fact]
    public void Text_ThatTurnsOutToBeBlocked_WasNeverShownInPart()
    {
        var guarded = Rails.Begin()!;
        var shown = "";
        foreach (var character in $"{new string('x', 100)} poison gas is") shown += guarded.Append(character.ToString());
        Assert.True(guarded.IsBlocked);
        Assert.Equal($"{new string('x', 100)} ", shown);
    }

    [Fact]
    public void PersonalData_AroundWhatIsBlocked_IsNotShownInPart()
    {
        var guarded = Rails.Begin()!;
        Assert.Equal("write to ", guarded.Append("write to a.bomb@example.org") + guarded.Finish());
        Assert.True(guarded.IsBlocked);
    }

    [Fact]
    public void Text_LongerThanTheWindow_IsShownExceptForTheWindow()
    {
        var guarded = Rails.Begin()!;
        Assert.Equal(new string('a', 76), guarded.Append(new string('a', 100)));
        Assert.Equal("b", guarded.Append("b").Replace('a', 'b'));
        Assert.Equal(Window, guarded.Finish().Length);
    }

    [Theory]
    [InlineData("{", "cannot be used")]
    [InlineData("""{"categories":[{"name":"x"}]}""", "neither words nor patterns")]
    [InlineData("""{"categories":[{"name":"x","patterns":["("]}]}""", "cannot be used")]
    [InlineData("""{"categories":[{"name":"x","patterns":["(?=a)b"]}]}""", "cannot be used")]
    [InlineData("""{"window":3,"categories":[{"name":"x","words":["long"]}]}""", "'window'")]
    [InlineData("""{"personal_data":"hide"}""", "allow, mask or block")]
    [InlineData("""{"words":["x"]}""", "words")]
    public void File_Malformed_IsOneClearLine(string contents, string part)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, contents);
            var mistake = Assert.Throws<ServingException>(() => Guardrails.Create([], path));
            Assert.Contains(part, mistake.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
