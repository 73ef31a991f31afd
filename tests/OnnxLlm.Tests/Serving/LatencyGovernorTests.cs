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
        Settle(governor, 0.005, waiting: 0, pass: 0);
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
            governor.Observe(3, Next(governor, 0.050), 0.050 + (i % 2 == 0 ? 0.015 : 0.060));
            Assert.InRange(Next(governor, 0.050), 40 / Math.Sqrt(2) - 2, 40 * Math.Sqrt(2) + 2);
        }
    }

    /// <summary>Something else has the processor for a hundred times as long as a step takes: a decode then counts as half as long again, by a fifth; a pause is cut to a time and a half, of which the root is believed.</summary>
    [Theory]
    [InlineData(true, 45, 46)]                  // 55 ms instead of 50: 33 ms are allowed, and a pass of 80 ms seems a pause of 25: 40 · √(33 / 25)
    [InlineData(false, 32, 33)]                 // 40 / √1.5
    public void Chunk_AfterAStepThatSomethingElseHeldUp_IsMuchAsBefore(bool decode, int least, int most)
    {
        var governor = new LatencyGovernor(8, 128, 0);
        Settle(governor, 0.050, waiting: 0);
        if (decode) governor.Observe(3, 0, 5);
        governor.Observe(3, governor.Chunk(3, Long, 0), decode ? 0.080 : 5);
        Assert.InRange(governor.Chunk(3, Long, 0), least, most);
    }

    /// <summary>While one prompt after the other is read, decodes get slower, as when sequences have come: that is seen.</summary>
    [Fact]
    public void Chunk_WhileLongPromptsAreReadWithoutEnd_FollowsTheDecodes()
    {
        var governor = new LatencyGovernor(8, 128, 0);
        Settle(governor, 0.050, waiting: 0);
        var looks = 0;
        for (var i = 0; i < 320; i++)
        {
            if (governor.Chunk(3, Long, 0) == 0) looks++;
            Step(governor, 0.100, 0, 0.010);
        }

        Assert.Equal(20, looks);
        Assert.InRange(governor.Chunk(3, Long, 0), 90, 100);        // 0.6 × 100 ms = 10 ms + 100 tokens
    }

    [Fact]
    public void Chunk_BeforeAnythingIsKnown_IsShort() => Assert.Equal(4, new LatencyGovernor(8, 128, 0).Chunk(1, Long, 0));

    /// <summary>Pieces of a long prompt between decodes that take this long; last a decode alone, as after a prompt's end.</summary>
    private static void Settle(LatencyGovernor governor, double decode, int waiting, double pass = 0.010)
    {
        governor.Observe(3, 0, decode);
        for (var i = 0; i < 100; i++) Step(governor, decode, waiting, pass);
        governor.Observe(3, 0, decode);
    }

    /// <summary>What is asked for: a decode and a piece whose pass takes some time however short it is, or a decode alone.</summary>
    private static void Step(LatencyGovernor governor, double decode, int waiting, double pass)
    {
        var chunk = governor.Chunk(3, Long, waiting);
        governor.Observe(3, chunk, chunk == 0 ? decode : decode + pass + 0.0005 * chunk);
    }

    /// <summary>The next piece, after a decode alone if that is asked for.</summary>
    private static int Next(LatencyGovernor governor, double decode)
    {
        if (governor.Chunk(3, Long, 0) == 0) governor.Observe(3, 0, decode);
        return governor.Chunk(3, Long, 0);
    }
}
