using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Serving;

public sealed class LatencyGovernorTests
{
    [Fact]
    public void Cap_WhenStepsGrowWithTheBatch_SettlesWhereTheTargetIsKept()
    {
        var governor = new LatencyGovernor(slots: 32, largestChunk: 128, target: 0.0205);
        for (var i = 0; i < 2000; i++) governor.Observe(governor.Cap, 0, 0.002 * governor.Cap);
        Assert.InRange(governor.Cap, 8, 10);
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
    [InlineData(0.050, 0, 40)]                  // 0.6 × 50 ms = 10 ms + 40 tokens
    [InlineData(0.400, 0, 128)]
    [InlineData(0.005, 0, 4)]                   // cannot be had: not even an empty pass is that short
    [InlineData(0.050, 0.095, 70)]              // a target leaves 45 ms for the pause
    public void Chunk_WhileOthersAreDecoded_PausesThemForAPartOfADecode(double decode, double target, int expected)
    {
        var governor = new LatencyGovernor(8, 128, target);
        governor.Observe(3, 0, decode);
        for (var i = 0; i < 100; i++) governor.Observe(3, governor.Chunk(3), decode + 0.010 + 0.0005 * governor.Chunk(3));
        Assert.InRange(governor.Chunk(3), expected - 1, expected);
        Assert.Equal(128, governor.Chunk(0));
    }

    [Fact]
    public void Chunk_AfterTheEndOfAPrompt_IsAsBefore()
    {
        var governor = new LatencyGovernor(8, 128, 0);
        governor.Observe(3, 0, 0.050);
        for (var i = 0; i < 100; i++) governor.Observe(3, governor.Chunk(3), 0.060 + 0.0005 * governor.Chunk(3));
        var before = governor.Chunk(3);
        governor.Observe(3, 2, 0.061);
        Assert.Equal(before, governor.Chunk(3));
        Assert.Equal(4, new LatencyGovernor(8, 128, 0).Chunk(1));       // before anything is known the pause is short
    }
}
