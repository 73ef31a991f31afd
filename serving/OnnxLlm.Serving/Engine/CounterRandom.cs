namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Random numbers without state: each is a hash of the seed, the choice and the position, so an answer depends
/// neither on its batch mates nor on how often the engine was interrupted.
/// </summary>
internal static class CounterRandom
{
    private const ulong Golden = 0x9E3779B97F4A7C15;
    private const double TwoToMinus53 = 1.0 / (1L << 53);

    /// <summary>A number in [0, 1).</summary>
    public static double Uniform(ulong seed, int choice, int position)
    {
        var state = Mix(Mix(Mix(seed) + (uint)choice) + (uint)position);
        return (state >> 11) * TwoToMinus53;
    }

    /// <summary>The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.</summary>
    private static ulong Mix(ulong x)
    {
        x += Golden;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
