using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Serving;

public sealed class PrefixCacheTests
{
    private readonly PrefixCache _cache = new(bytes: 100, size: length => 10 * length, shortest: 2);
    private readonly List<Transfer> _transfers = [];

    [Fact]
    public void Find_OfABeginning_GivesWhatIsCommon()
    {
        Keep([1, 2, 3, 4]);
        Assert.Equal((0, 3), _cache.Find([1, 2, 3, 9, 9], null));
        Assert.Equal((-1, 0), _cache.Find([1, 9], null));
    }

    [Fact]
    public void Find_WithAnotherSalt_FindsNothing()
    {
        Keep([1, 2, 3], "mine");
        Assert.Equal((-1, 0), _cache.Find([1, 2, 3], "yours"));
        Assert.Equal(3, _cache.Find([1, 2, 3], "mine").Length);
    }

    [Fact]
    public void Keep_BeyondTheBytes_DropsTheLeastUsed()
    {
        Keep([1, 1, 1, 1]);
        Keep([2, 2, 2, 2]);
        _cache.Find([1, 1, 1], null);
        Keep([3, 3, 3, 3]);
        Assert.Equal([Transfer.Drop(1), Transfer.Save(0, 2, 4)], _transfers[2..]);
        Assert.Equal(80, _cache.Bytes);
    }

    [Fact]
    public void Keep_OfWhatIsKnown_CopiesNothing()
    {
        Keep([1, 2, 3, 4]);
        Keep([1, 2, 3]);
        Assert.Single(_transfers);
    }

    [Fact]
    public void Keep_OfWhatGoesOn_TakesThePlaceOfItsBeginning()
    {
        Keep([1, 2, 3]);
        Keep([1, 2, 3, 4]);
        Assert.Equal([Transfer.Save(0, 0, 3), Transfer.Drop(0), Transfer.Save(0, 1, 4)], _transfers);
        Assert.Equal(40, _cache.Bytes);
    }

    [Fact]
    public void Keep_OfMoreThanFits_CopiesNothing()
    {
        Keep(new int[11]);
        Assert.Empty(_transfers);
    }

    /// <summary>What interrupted sequences have read comes before beginnings, but not before each other.</summary>
    [Fact]
    public void Lend_TakesThePlaceOfBeginningsAndNoMoreThanAll()
    {
        Keep([1, 1, 1, 1]);
        Keep([2, 2, 2, 2]);
        Assert.True(_cache.TryLend(5, _transfers));
        Assert.Equal(Transfer.Drop(0), _transfers[^1]);
        Assert.Equal(90, _cache.Bytes);
        Assert.False(_cache.TryLend(6, _transfers));
        Assert.Equal(90, _cache.Bytes);
        Keep([3, 3, 3, 3, 3, 3]);                   // would fit into all, but not beside what is lent
        Assert.Equal(3, _transfers.Count);
        _cache.TakeBack(5);
        Assert.Equal(40, _cache.Bytes);
        Keep([3, 3, 3, 3, 3, 3]);
        Assert.Equal(100, _cache.Bytes);
    }

    [Fact]
    public void Bytes_AfterAnyUse_AreThoseOfTheEntriesAndWithinTheLimit()
    {
        var random = new Random(5);
        var held = new Dictionary<int, int>();
        for (var i = 0; i < 2000; i++)
        {
            _transfers.Clear();
            Keep([.. Enumerable.Range(0, 1 + random.Next(12)).Select(_ => random.Next(2))]);
            foreach (var transfer in _transfers)
                if (transfer.Kind == TransferKind.Drop) Assert.True(held.Remove(transfer.From));
                else held.Add(transfer.To, transfer.Length);
            Assert.Equal(10L * held.Values.Sum(), _cache.Bytes);
            Assert.InRange(_cache.Bytes, 0, 100);
        }
    }

    private void Keep(int[] tokens, string? salt = null) => _cache.Keep(0, tokens, salt, _transfers);
}
