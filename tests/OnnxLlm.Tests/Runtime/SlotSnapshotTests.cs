using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Runtime;

/// <summary>What is kept of slots, in blocks of 64 positions.</summary>
public sealed class SlotSnapshotTests : IDisposable
{
    private static readonly ModelConfig Config = TinyModel.Named("llama-16").Config;
    private static readonly int Heads = 2 * Config.Layers * Config.KeyValueHeads;

    private readonly KeyValueCache _cache = new(Config, slots: 3, maxLength: 200, Device.Cpu, ElementType.Float);

    public void Dispose() => _cache.Dispose();

    [Theory]
    [InlineData(130, 130)]
    [InlineData(130, 70)]
    [InlineData(64, 64)]
    [InlineData(65, 1)]
    public void Snapshot_LoadedAndSavedAgain_HoldsTheSame(int length, int loaded)
    {
        using SlotSnapshot written = _cache.Save(0, length);
        Fill(written);
        _cache.Load(written, loaded, 2);
        Assert.Equal((loaded, 0), (_cache.Length(2), _cache.Length(1)));
        using SlotSnapshot read = _cache.Save(2, loaded);
        Assert.Equal(Content(written, loaded), Content(read, loaded));
        using SlotSnapshot other = _cache.Save(1, loaded);
        Assert.All(Content(other, loaded), value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(64, 1)]
    [InlineData(65, 2)]
    [InlineData(200, 4)]
    public void Size_IsThatOfWholeBlocks(int length, int blocks)
    {
        using SlotSnapshot saved = _cache.Save(0, length);
        Assert.Equal((blocks, blocks * 64 * _cache.BytesPerPosition, saved.Bytes), (saved.Blocks.Count, saved.Bytes, _cache.SnapshotBytes(length)));
    }

    [Fact]
    public void Blocks_OfADisposedSnapshot_AreUsedAgain()
    {
        SlotSnapshot first = _cache.Save(0, 130);
        Fill(first);
        TensorBuffer[] blocks = [.. first.Blocks];
        first.Dispose();
        first.Dispose();
        using SlotSnapshot second = _cache.Save(0, 100), third = _cache.Save(0, 100);
        Assert.Equal(4, second.Blocks.Concat(third.Blocks).Distinct().Count());
        Assert.Subset(second.Blocks.Concat(third.Blocks).ToHashSet(), blocks.ToHashSet());
    }

    private static void Fill(SlotSnapshot snapshot)
    {
        var random = new Random(5);
        foreach (TensorBuffer block in snapshot.Blocks)
            foreach (ref float value in block.Span<float>()) value = random.NextSingle() + 1;
    }

    /// <summary>[heads, length, K]</summary>
    private static float[] Content(SlotSnapshot snapshot, int length)
    {
        var content = new List<float>();
        for (int head = 0; head < Heads; head++)
            for (int position = 0; position < length; position++)
                content.AddRange(snapshot.Blocks[position / 64].Span<float>().Slice((head * 64 + position % 64) * Config.HeadSize, Config.HeadSize));
        return [.. content];
    }
}
