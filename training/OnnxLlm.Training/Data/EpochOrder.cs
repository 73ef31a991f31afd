namespace OnnxLlm.Training.Data;

/// <summary>
/// The order in which training visits the windows: each epoch is its own permutation, and the window at a position is a
/// pure function of (seed, position), with no table to store or restore. The permutation is a Feistel network over the
/// next even power of two, walked until it lands inside the range.
/// </summary>
internal sealed class EpochOrder
{
    private const int Rounds = 6;

    private readonly long _count;
    private readonly ulong _seed;
    private readonly int _halfBits;

    public EpochOrder(long count, long seed)
    {
        _count = count;
        _seed = Chance.Mix((ulong)seed);
        while (1L << (2 * _halfBits) < count) _halfBits++;
    }

    /// <summary>The window to visit at <paramref name="position"/>, counted over all epochs.</summary>
    public long this[long position]
    {
        get
        {
            var (epoch, index) = Math.DivRem(position, _count);
            var key = Chance.Mix(_seed ^ (ulong)epoch);
            do index = Permute(index, key);
            while (index >= _count);
            return index;
        }
    }

    private long Permute(long index, ulong key)
    {
        var mask = (1UL << _halfBits) - 1;
        var (left, right) = ((ulong)index >> _halfBits, (ulong)index & mask);
        for (var round = 0; round < Rounds; round++)
            (left, right) = (right, left ^ (Chance.Mix(key + (ulong)round ^ right << 16) & mask));
        return (long)(left << _halfBits | right);
    }
}
