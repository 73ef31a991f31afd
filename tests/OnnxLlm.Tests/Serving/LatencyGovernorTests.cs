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

    [Fact]
    public void Chunk_WhileOthersAreDecoded_PausesThemForAboutADecode()
    {
        var governor = new LatencyGovernor(8, 128, 0);
        Assert.Equal(128, governor.Chunk(3));
        governor.Observe(3, 0, 0.020);
        governor.Observe(3, 100, 0.020 + 0.050);        // half a millisecond per prompt token
        Assert.Equal(40, governor.Chunk(3));
        Assert.Equal(128, governor.Chunk(0));
    }
}
