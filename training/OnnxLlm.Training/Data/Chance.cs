namespace OnnxLlm.Training.Data;

/// <summary>Chance as a pure function of what it is asked for: the same question has the same answer, in any order and after any resume.</summary>
internal static class Chance
{
    /// <summary>The finalizer of SplitMix64 (Steele, Lea and Flood 2014): every input bit changes half of the output bits.</summary>
    public static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
        x = (x ^ x >> 27) * 0x94D049BB133111EB;
        return x ^ x >> 31;
    }

    /// <summary>A number of [0, 1), the <paramref name="index"/>-th of a series.</summary>
    public static double Uniform(ulong series, int index) => (Mix(series ^ Mix((ulong)index)) >> 11) * (1.0 / (1UL << 53));
}
