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
        _seed = Mix((ulong)seed);
        while (1L << (2 * _halfBits) < count) _halfBits++;
    }

    /// <summary>The window to visit at <paramref name="position"/>, counted over all epochs.</summary>
    public long this[long position]
    {
        get
        {
            var (epoch, index) = Math.DivRem(position, _count);
            var key = Mix(_seed ^ (ulong)epoch);
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
            (left, right) = (right, left ^ (Mix(key + (ulong)round ^ right << 16) & mask));
        return (long)(left << _halfBits | right);
    }

    /// <summary>The finalizer of SplitMix64: every input bit changes half of the output bits.</summary>
    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
        x = (x ^ x >> 27) * 0x94D049BB133111EB;
        return x ^ x >> 31;
    }
}
