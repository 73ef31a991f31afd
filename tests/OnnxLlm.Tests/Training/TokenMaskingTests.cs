using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Tests.Training;

/// <summary>A stream of ids from 10 on, of which every tenth is the special token 1; the mask is 2.</summary>
public sealed class TokenMaskingTests
{
    private const int MaskId = 2, Special = 1, First = 10, Last = 210;

    [Fact]
    public void Observed_RateAndKinds_AreTheWantedOnes()
    {
        var (ordinary, hidden, masked, replaced) = (0, 0, 0, 0);
        for (var draw = 0; draw < 8000; draw++)
        {
            var (before, ids, labels, count) = Draw(draw, length: 100);
            ordinary += before.Count(id => id != Special);
            Assert.Equal(count, labels.Count(label => label >= 0));
            hidden += count;
            masked += ids.Count(id => id == MaskId);
            replaced += ids.Zip(before).Count(p => p.First != MaskId && p.First != p.Second);
        }

        // 720 000 tokens, of which 108 000 are hidden: the deviation of a share p of n is √(p(1−p)/n), 0.0012 and 0.0009 here; five are allowed. The rate itself
        // deviates by the rounding of each sequence's number only, half a token of 90.
        Assert.InRange(hidden / (double)ordinary, 0.15 - 0.0005, 0.15 + 0.0005);
        Assert.InRange(masked / (double)hidden, 0.8 - 0.006, 0.8 + 0.006);

        // One in 200 of those replaced by any token is replaced by itself.
        Assert.InRange(replaced / (double)hidden, 0.1 * 199 / 200 - 0.0046, 0.1 * 199 / 200 + 0.0046);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(31)]
    public void Rate_OfSequencesThatItDoesNotDivide_IsRightOnAverage(int length)
    {
        var hidden = Enumerable.Range(0, 20_000).Sum(draw => Draw(draw, length).Hidden);
        double ordinary = 20_000 * Enumerable.Range(0, length).Count(t => t % 10 != 9);
        Assert.InRange(hidden / ordinary, 0.15 - 0.001, 0.15 + 0.001);
    }

    /// <summary>Nothing near the beginning or the end may be chosen more often.</summary>
    [Fact]
    public void EveryPlace_IsHidden_AsOftenAsAnyOther()
    {
        var counts = new int[20];
        for (var draw = 0; draw < 20_000; draw++)
            foreach (var (t, label) in Draw(draw, 20).Labels.Index()) if (label >= 0) counts[t]++;

        // 20 000 draws of 0.15 each: 3000, of which the deviation is 50.
        Assert.All(counts.Where((_, t) => t % 10 != 9), count => Assert.InRange(count, 2750, 3250));
        Assert.All(counts.Where((_, t) => t % 10 == 9), count => Assert.Equal(0, count));
    }

    [Fact]
    public void Labels_AreTheTokensThatWereHidden_AndTheOthersStayAsTheyWere()
    {
        var (before, ids, labels, _) = Draw(3, 100);
        foreach (var (t, label) in labels.Index())
        {
            Assert.Equal(label >= 0 ? before[t] : -100, label);
            if (label < 0) Assert.Equal(before[t], ids[t]);
            else Assert.InRange(ids[t], MaskId, Last - 1);
        }
    }

    [Fact]
    public void Draw_IsAFunctionOfSeedAndNumber()
    {
        Assert.Equal(Draw(5, 100).Ids, Draw(5, 100).Ids);
        Assert.NotEqual(Draw(5, 100).Ids, Draw(6, 100).Ids);
        Assert.NotEqual(Draw(5, 100).Ids, Draw(5, 100, seed: 2).Ids);
    }

    [Fact]
    public void ShortSequence_HasOneHiddenToken_AndSpecialOnesNone()
    {
        Assert.All(Enumerable.Range(0, 100), draw => Assert.Equal(1, Draw(draw, 3).Hidden));
        long[] ids = [Special, Special], labels = [Special, Special];
        Assert.Equal(0, Masking(1).Hide(0, ids, labels));
        Assert.Equal([-100, -100], labels);
    }

    [Fact]
    public void Windows_WithAMasking_HoldEveryTokenOnce_AndSayWhichAreTokens()
    {
        const int Time = 8, Tokens = 3 * Time + 5;
        var windows = new TokenWindows(Tokens, (offset, ids) => { for (var i = 0; i < ids.Length; i++) ids[i] = (int)offset + i + First; }, Time, Masking(1));
        Assert.Equal(4, windows.Count);
        var batch = TokenDataset.Pack(windows, 5, row => row < 4 ? (row, row) : null);

        Assert.Equal(Enumerable.Range(0, 5 * Time).Select(i => i < Tokens ? 1L : 0), batch.AttentionMask);
        Assert.Equal(batch.Labels.Count(label => label >= 0), batch.ValidTokens);
        for (var i = 0; i < Tokens; i++) Assert.Equal(i + First, batch.Labels[i] >= 0 ? batch.Labels[i] : batch.InputIds[i]);
        Assert.All(batch.Labels[Tokens..], label => Assert.Equal(-100, label));
        Assert.Equal(Tokens, new GlobalBatch(0, [batch]).Tokens);
    }

    [Fact]
    public void Epochs_HideOtherTokens_AndAPositionTheSame()
    {
        var windows = new TokenWindows(64, (offset, ids) => { for (var i = 0; i < ids.Length; i++) ids[i] = (int)offset + i + First; }, 16, Masking(1));
        TokenDataset Dataset() => new(windows, new EpochOrder(windows.Count, 1), 4, 2);
        static IEnumerable<long> Hidden(GlobalBatch batch) => batch.MicroBatches.SelectMany(micro => micro.Labels).Where(label => label >= 0).Order();

        Assert.Equal(Hidden(Dataset().Batch(4)), Hidden(Dataset().Batch(4)));
        Assert.NotEqual(Hidden(Dataset().Batch(0)), Hidden(Dataset().Batch(4)));
    }

    private static TokenMasking Masking(long seed) => new(new MaskingConfig(), MaskId, Enumerable.Range(First, Last - First), seed);

    private static (long[] Before, long[] Ids, long[] Labels, int Hidden) Draw(int draw, int length, long seed = 1)
    {
        long[] before = [.. Enumerable.Range(0, length).Select(t => t % 10 == 9 ? Special : First + (draw + 7L * t) % (Last - First))];
        long[] ids = [.. before], labels = [.. before];
        var hidden = Masking(seed).Hide(draw, ids, labels);
        return (before, ids, labels, hidden);
    }
}
