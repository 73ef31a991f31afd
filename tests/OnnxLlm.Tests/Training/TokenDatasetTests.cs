using OnnxLlm.Training.Data;

namespace OnnxLlm.Tests.Training;

public class TokenDatasetTests
{
    private const int Time = 8;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(64)]
    [InlineData(1000)]
    [InlineData(1025)]
    public void EpochOrder_EachEpoch_VisitsEveryWindowOnce(long count)
    {
        var order = new EpochOrder(count, seed: 7);
        for (var epoch = 0L; epoch < 3; epoch++)
            Assert.Equal(Range(count), Range(count).Select(i => order[epoch * count + i]).Order());
    }

    [Fact]
    public void EpochOrder_DiffersByEpochAndSeed_AndIsAFunctionOfBoth()
    {
        long[] Epoch(long seed, long epoch) => [.. Range(1000).Select(i => new EpochOrder(1000, seed)[epoch * 1000 + i])];

        Assert.Equal(Epoch(1, 0), Epoch(1, 0));
        Assert.NotEqual(Epoch(1, 0), Epoch(1, 1));
        Assert.NotEqual(Epoch(1, 0), Epoch(2, 0));
    }

    [Fact]
    public void EpochOrder_NeighbouringPositions_AreSpreadOverTheWholeRange()
    {
        // Of a uniform permutation, a tenth of the positions falls into each tenth of the range: 1000 ± 5σ, σ² = 10 000·0.1·0.9.
        var tenths = Range(10_000).GroupBy(i => new EpochOrder(100_000, 3)[i] / 10_000).Select(g => g.Count());
        Assert.All(tenths, n => Assert.InRange(n, 850, 1150));
    }

    [Fact]
    public void Windows_TogetherInOrder_HoldEveryTokenAsALabelOnce()
    {
        const int tokens = 8 * Time + 4;
        var windows = Windows(tokens);
        var labels = Range(windows.Count).SelectMany(w => Fill(windows, w).Labels).Where(id => id != BatchRow.Ignored);

        Assert.Equal(9, windows.Count);
        Assert.Equal(Range(tokens).Skip(1), labels);
    }

    [Fact]
    public void Window_LastOne_IsShortAndSaysSo()
    {
        var (inputs, labels, valid) = Fill(Windows(Time + 4), 1);

        Assert.Equal(3, valid);
        Assert.Equal([8, 9, 10, 0, 0, 0, 0, 0], inputs);
        Assert.Equal([9, 10, 11, -100, -100, -100, -100, -100], labels);
    }

    [Fact]
    public void Batches_OfThreeEpochs_ShowEveryWindowThreeTimes()
    {
        var windows = Windows(10 * Time + 1);
        var dataset = Dataset(windows, globalBatch: 4, microBatch: 2);
        var end = 3 * windows.Count;
        var seen = Range((end + 3) / 4).SelectMany(step => dataset.Batch(step * 4, end).MicroBatches).SelectMany(Rows).ToList();

        Assert.Equal(30, seen.Count);
        Assert.All(seen.CountBy(first => first), window => Assert.Equal(3, window.Value));
        Assert.Equal(10, seen.Distinct().Count());
    }

    [Fact]
    public void Batch_BeyondTheEnd_IsBlankAndCountsNoTokens()
    {
        var batch = Dataset(Windows(10 * Time + 1), globalBatch: 4, microBatch: 2).Batch(position: 8, end: 10);

        Assert.Equal(2 * Time, batch.ValidTokens);
        Assert.Equal(0, batch.MicroBatches[1].ValidTokens);
        Assert.All(batch.MicroBatches[1].Labels, label => Assert.Equal(BatchRow.Ignored, label));
    }

    [Fact]
    public void Prefetcher_GivesTheBatchesOfTheDataset()
    {
        var dataset = Dataset(Windows(10 * Time + 1), globalBatch: 4, microBatch: 2);
        var prefetcher = new BatchPrefetcher(dataset, long.MaxValue);

        foreach (var position in new long[] { 0, 4, 8, 40, 44 })        // 40: not the one it had fetched
            Assert.Equal(dataset.Batch(position).MicroBatches[1].InputIds, prefetcher.Take(position, 4).MicroBatches[1].InputIds);
    }

    [Fact]
    public void ValidationSet_TakesTheFirstWindowsInOrder()
    {
        var set = new ValidationSet(Windows(10 * Time + 1), rows: 2, tokens: 5 * Time);

        Assert.Equal([0, Time, 2 * Time, 3 * Time, 4 * Time], set.MicroBatches().SelectMany(Rows));
        Assert.Equal(5 * Time, set.MicroBatches().Sum(m => m.ValidTokens));
    }

    [Fact]
    public void ValidationSet_Hash_FollowsTheTokens()
    {
        string Hash(int shift) => new ValidationSet(new TokenWindows(100, Counting(shift), Time), 2, 64).Hash();

        Assert.Equal(Hash(0), Hash(0));
        Assert.NotEqual(Hash(0), Hash(1));
    }

    /// <summary>A stream in which each token's id is its offset.</summary>
    private static TokenReader Counting(int shift = 0) => (offset, ids) =>
    {
        for (var i = 0; i < ids.Length; i++) ids[i] = (int)offset + i + shift;
    };

    private static TokenWindows Windows(long tokens) => new(tokens, Counting(), Time);

    private static TokenDataset Dataset(TokenWindows windows, int globalBatch, int microBatch) =>
        new(windows, new EpochOrder(windows.Count, 5), globalBatch, microBatch);

    private static (long[] Inputs, long[] Labels, int Valid) Fill(TokenWindows windows, long window)
    {
        var (inputs, labels) = (new long[Time], new long[Time]);
        return (inputs, labels, windows.Fill(window, draw: 0, new BatchRow(inputs, labels, new long[Time])));
    }

    /// <summary>The first id of each row that is not blank.</summary>
    private static IEnumerable<long> Rows(MicroBatch batch) =>
        batch.InputIds.Chunk(Time).Zip(batch.Labels.Chunk(Time)).Where(r => r.Second[0] != BatchRow.Ignored).Select(r => r.First[0]);

    private static IEnumerable<long> Range(long count) => Enumerable.Range(0, (int)count).Select(i => (long)i);
}
