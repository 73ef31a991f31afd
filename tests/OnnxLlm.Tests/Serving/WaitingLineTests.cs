using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Serving;

public sealed class WaitingLineTests
{
    private readonly WaitingLine _line = new();

    [Fact]
    public void Next_OfOneClientWithMany_DoesNotKeepOutTheOther()
    {
        for (var i = 0; i < 5; i++) Add("many");
        Take();
        var late = Add("few");
        Assert.Same(late, Take());
        Assert.Equal("many", Take().Key);
    }

    [Fact]
    public void Next_OfTwoClientsThatAlwaysWait_GivesBothTheSameTokens()
    {
        var given = new Dictionary<string, int> { ["long"] = 0, ["short"] = 0 };
        for (var i = 0; i < 2000; i++)
        {
            Add("long", tokens: 90);
            Add("short", tokens: 10);
            var next = Take();
            given[next.Key] += next.Prompt.Length + next.MaxTokens;
        }

        Assert.InRange(given["long"] - given["short"], -91, 91);
    }

    [Fact]
    public void Next_AfterTimeAway_IsNotRepaid()
    {
        for (var i = 0; i < 100; i++) Add("present", tokens: 10);
        for (var i = 0; i < 50; i++) Take();
        for (var i = 0; i < 50; i++) Add("back", tokens: 10);
        var served = Enumerable.Range(0, 20).Select(_ => Take().Key).ToArray();
        Assert.Equal(10, served.Count(key => key == "back"));
    }

    [Fact]
    public void Next_OfTheMoreUrgent_ComesFirstWhateverItWasGiven()
    {
        Add("a");
        var urgent = Add("b", priority: 1);
        Assert.Same(urgent, Take());
    }

    private Sequence Add(string key, int tokens = 1, int priority = 0)
    {
        var sequence = new Sequence { Prompt = [0], MaxTokens = tokens, Key = key, Priority = priority, Output = SequenceFactory.Create([0], 1).Output };
        _line.Add(sequence);
        return sequence;
    }

    private Sequence Take()
    {
        var next = _line.Next()!;
        _line.Take(next);
        return next;
    }
}
