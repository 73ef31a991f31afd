using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Serving;

public sealed class LatencyGovernorTests
{
    private const int Long = 2000;

    [Fact]
    public void Cap_WhenStepsGrowWithTheBatch_SettlesWhereTheTargetIsKept()
    {
        var governor = new LatencyGovernor(slots: 32, largestChunk: 128, target: 0.0205);
        for (var i = 0; i < 2000; i++) governor.Observe(governor.Cap, 0, 0.002 * governor.Cap);
        Assert.InRange(governor.Cap, 8, 10);
    }

    /// <summary>As when a load ends: it says nothing about few sequences that many were too slow.</summary>
    [Fact]
    public void Cap_WhenFewAreLeftOfMany_GoesByTheMany()
    {
        var governor = new LatencyGovernor(slots: 32, largestChunk: 128, target: 0.02);
        for (var decoded = 20; decoded > 0; decoded--) governor.Observe(decoded, 0, 0.002 * decoded);
        Assert.Equal(19, governor.Cap);
    }

    [Fact]
    public void Cap_WithoutATarget_IsEverySlot()
    {
        var governor = new LatencyGovernor(4, 128, 0);
        for (var i = 0; i < 100; i++) governor.Observe(4, 0, 100);
        Assert.Equal(4, governor.Cap);
    }

    [Fact]
    public void Cap_WhenItGetsFaster_GrowsAgain()
    {
        var governor = new LatencyGovernor(8, 128, 0.01);
        for (var i = 0; i < 400; i++) governor.Observe(governor.Cap, 0, 1);
        Assert.Equal(1, governor.Cap);
        for (var i = 0; i < 400; i++) governor.Observe(governor.Cap, 0, 0.001);
        Assert.Equal(8, governor.Cap);
    }

    /// <summary>A pass takes 10 ms, however short, and half a millisecond per token.</summary>
    [Theory]
    [InlineData(0.050, 0, 0, 40)]               // 0.6 × 50 ms = 10 ms + 40 tokens
    [InlineData(0.400, 0, 0, 128)]
    [InlineData(0.005, 0, 0, 4)]                // cannot be had: not even an empty pass is that short
    [InlineData(0.050, 0.095, 0, 70)]           // a target leaves 45 ms for the pause
    [InlineData(0.050, 0, 1, 100)]              // another one waits: 2 × 30 ms = 10 ms + 100 tokens
    [InlineData(0.050, 0.095, 1, 70)]           // but a target is kept whoever waits
    public void Chunk_OfALongPrompt_PausesTheOthersForAPartOfADecode(double decode, double target, int waiting, int expected)
    {
        var governor = new LatencyGovernor(8, 128, target);
        Settle(governor, decode, waiting);
        Assert.InRange(governor.Chunk(3, Long, waiting), expected - 1, expected);
        Assert.Equal(256, governor.Chunk(0, Long, waiting));
    }

    [Theory]
    [InlineData(0, 256, 0, 128)]
    [InlineData(0, 256, 1, 256)]                // others wait: at once
    [InlineData(0, 257, 0, 40)]
    [InlineData(0.080, 256, 0, 40)]             // with a target every prompt is read as that allows
    [InlineData(0.080, 256, 1, 40)]
    public void Chunk_OfAShortPrompt_IsWhole(double target, int prompt, int waiting, int expected)
    {
        var governor = new LatencyGovernor(8, 128, target);
        Settle(governor, 0.050, waiting: 0);
        Assert.InRange(governor.Chunk(3, prompt, waiting), expected - 1, expected);
    }

    /// <summary>What is read beside the rule must not teach it: the next long prompt would begin with long pauses.</summary>
    [Theory]
    [InlineData(Long, 2)]                       // the end of a prompt
    [InlineData(256, 128)]                      // a short one
    public void Chunk_AfterAnother_IsAsBefore(int prompt, int read)
    {
        var governor = new LatencyGovernor(8, 128, 0);
        Settle(governor, 0.050, waiting: 0);
        var before = governor.Chunk(3, Long, 0);
        governor.Chunk(3, prompt, 0);
        governor.Observe(3, read, 0.050 + 0.010 + 0.0005 * read);
        Assert.Equal(before, governor.Chunk(3, Long, 0));
    }

    /// <summary>3 ms are allowed, and 5 ms where a piece takes a pass of its own; a token takes half a millisecond.</summary>
    [Theory]
    [InlineData(false, 10)]
    [InlineData(true, 6)]
    public void Chunk_ReadInThePassThatDecodes_PausesForLess(bool readsWhileDecoding, int expected)
    {
        var governor = new LatencyGovernor(8, 128, 0, readsWhileDecoding);
        governor.Observe(3, 0, 0.005);
        for (var i = 0; i < 100; i++) governor.Observe(3, governor.Chunk(3, Long, 0), 0.005 + 0.0005 * governor.Chunk(3, Long, 0));
        Assert.InRange(governor.Chunk(3, Long, 0), expected - 1, expected);
    }

    /// <summary>Pauses that are now half and now twice what they should be leave the pieces within a factor of √2.</summary>
    [Fact]
    public void Chunk_WhenPausesScatter_ScattersLess()
    {
        var governor = new LatencyGovernor(8, 128, 0);
        Settle(governor, 0.050, waiting: 0);
        for (var i = 0; i < 20; i++)
        {
            governor.Observe(3, governor.Chunk(3, Long, 0), 0.050 + (i % 2 == 0 ? 0.015 : 0.060));
            Assert.InRange(governor.Chunk(3, Long, 0), 40 / Math.Sqrt(2) - 2, 40 * Math.Sqrt(2) + 2);
        }
    }

    [Fact]
    public void Chunk_BeforeAnythingIsKnown_IsShort() => Assert.Equal(4, new LatencyGovernor(8, 128, 0).Chunk(1, Long, 0));

    private static void Settle(LatencyGovernor governor, double decode, int waiting)
    {
        governor.Observe(3, 0, decode);
        for (var i = 0; i < 100; i++) governor.Observe(3, governor.Chunk(3, Long, waiting), decode + 0.010 + 0.0005 * governor.Chunk(3, Long, waiting));
    }
}
