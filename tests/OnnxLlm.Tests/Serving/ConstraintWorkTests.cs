using System.Text.Json;
using System.Text.RegularExpressions;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine.Constraints;

namespace OnnxLlm.Tests.Serving;

/// <summary>What a constraint costs the engine's thread, and that what makes it cheap changes no text.</summary>
public sealed class ConstraintWorkTests : IDisposable
{
    private readonly ConstraintCache _cache = new(TestServer.Tokenizer);

    public void Dispose() => _cache.Dispose();

    /// <summary>What is repeated may be empty, in every form that has; neither is a text lost nor one added.</summary>
    [Theory]
    [InlineData("(a?){3}")]
    [InlineData("(a?){2,5}b")]
    [InlineData("(a*){1,2}c")]
    [InlineData("(a{0,2}){2}")]
    [InlineData("((ab?)?c?){2,3}")]
    [InlineData("(a|b?|){2}")]
    [InlineData("(a?b?c?){2}")]
    [InlineData("(a?b?a?c?b?){2}")]
    [InlineData("((a?)*b?)*c")]
    [InlineData("(){2,3}a")]
    [InlineData("(b{0})*a")]
    [InlineData("((a?){2}b?){1,2}")]
    public void Texts_OfRepeatedEmptyParts_AreThoseOfTheExpression(string regex)
    {
        var constraint = Find(ConstraintKind.Regex, regex);
        var whole = new Regex($"^(?:{regex})$", RegexOptions.None, TimeSpan.FromSeconds(10));
        string[] texts = [""];
        for (var length = 0; length <= 6; length++)
        {
            foreach (var text in texts)
            {
                Assert.True(whole.IsMatch(text) == (After(constraint, text)?.IsEnd ?? false), $"'{text}'");
            }

            texts = [.. texts.SelectMany(text => "abc", (text, letter) => text + letter)];
        }
    }

    /// <summary>Bytes that the same edges take are followed together: three kinds of them, at each of a few positions.</summary>
    [Fact]
    public void Mask_OfARange_FollowsAllItsBytesTogether()
    {
        var constraint = Find(ConstraintKind.Regex, "[a-z]{0,9}");
        constraint.Mask(constraint.Start);
        Assert.InRange(constraint.Work, 1, 1000);
    }

    /// <summary>As many as there may be, every printable character among their first ones: that much work is none too much.</summary>
    [Fact]
    public void Choice_OfThousandsOfTexts_IsKept()
    {
        string[] texts = [.. Enumerable.Range(0, 10_000).Select(i => $"{(char)('!' + i % 94)}{(char)('!' + i / 94)}{i % 89:D2}")];
        var constraint = Find(ConstraintKind.Choice, JsonSerializer.Serialize(texts));
        constraint.Mask(constraint.Start);
        Assert.InRange(constraint.Work, 1, 3_000_000);
        foreach (var text in (string[])[texts[0], texts[4711], texts[^1]]) Assert.True(After(constraint, text)?.IsOnlyEnd, text);
    }

    [Theory]
    [InlineData("([a-z ]?){10000}")]
    [InlineData("(([a-z]*)? ?){4000}")]
    public void Position_InRepeatedEmptyParts_IsOneOfFew(string regex) => Assert.InRange(Find(ConstraintKind.Regex, regex).Start.Stacks.Length, 1, 4);

    private Constraint Find(ConstraintKind kind, string text)
    {
        var (constraint, error) = _cache.Find(new ConstraintSpec(kind, text));
        Assert.Null(error);
        return constraint!;
    }

    /// <summary>Where a text leads, letter by letter; null where it is not allowed.</summary>
    private static Position? After(Constraint constraint, string text)
    {
        Position? position = constraint.Start;
        foreach (var token in text.SelectMany(letter => TestServer.Tokenizer.Encode($"{letter}"))) position = constraint.After(position, token);
        return position;
    }
}
