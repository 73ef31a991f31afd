using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Tests.Runtime;

/// <summary>Queries over two chunks of keys and values, the second of which has larger scores or not.</summary>
public sealed class CachedRowsTests
{
    private const int Chunk = (int)CachedRows.Chunk;
    private const float Largest = 2.2f;

    /// <summary>Head sizes that fill one vector, some, and all columns that are summed at a time.</summary>
    public static TheoryData<string, int> Cases
    {
        get
        {
            var cases = new TheoryData<string, int>();
            foreach (string width in KernelHarness.WidthNames)
                foreach (int size in (int[])[16, 48, 64, 80, 128, 192, 256]) cases.Add(width, size);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void TwoQueries_Together_GiveTheBitsOfEach(string width, int size)
    {
        foreach (int keys in (int[])[1, 2, 3, 4, 5, 31, 63, 64])
        {
            float[] queries = Numbers(2 * size, 1, size), cache = Numbers(4 * Chunk * size, 2, 1);
            float[] together = Attend(width, queries, cache, keys, size);
            Assert.Equal([.. Attend(width, queries[..size], cache, keys, size), .. Attend(width, queries[size..], cache, keys, size)], together);
        }
    }

    /// <summary>
    /// A score is a sum of products of numbers up to 2.2 and 2.2 / √size, so its magnitudes add up to 4.84 · √size, and size + 1 roundings move it by as many units of that; a power of two
    /// moves by ln 2 of it, relative, and by two units of its own. Sums above and below the line have up to 129 additions and a correction.
    /// </summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Queries_GiveWhatAPlainLoopGives(string width, int size)
    {
        double tolerance = Math.ScaleB(Largest * 2 * (Math.Log(2) * (size + 1) * Largest * Largest * Math.Sqrt(size) + 132), -24);
        foreach (int keys in (int[])[1, 2, 5, 63, 64])
        {
            float[] queries = Numbers(2 * size, 3, size), cache = Numbers(4 * Chunk * size, 4, 1);
            float[] actual = Attend(width, queries, cache, keys, size);
            for (int i = 0; i < actual.Length; i++)
            {
                int query = i / size;
                double[] weights = [.. Keys(keys).Select(key => Math.Pow(2, Enumerable.Range(0, size).Sum(j => (double)queries[query * size + j] * cache[key * size + j])))];
                double expected = Keys(keys).Zip(weights, (key, w) => w * cache[(2 * Chunk + key) * size + i % size]).Sum() / weights.Sum();
                Assert.InRange(actual[i], expected - tolerance, expected + tolerance);
            }
        }
    }

    /// <summary>A whole chunk, and some keys of the next.</summary>
    private static IEnumerable<int> Keys(int keys) => Enumerable.Range(0, Chunk + keys);

    private static float[] Numbers(int count, int seed, int divisor) =>
        [.. KernelHarness.Normal(count, seed).Select(x => Math.Clamp(x, -Largest, Largest) / MathF.Sqrt(divisor))];

    private static float[] Attend(string width, float[] queries, float[] cache, int keys, int size) => width switch
    {
        "Scalar" => Attend<ScalarLane>(queries, cache, keys, size),
        "Portable" => Attend<PortableLanes>(queries, cache, keys, size),
        _ => Attend<Lanes512>(queries, cache, keys, size),
    };

    /// <param name="queries">Of one or two.</param>
    /// <param name="cache">Two chunks of keys, then two of values.</param>
    private static unsafe float[] Attend<T>(float[] queries, float[] cache, int keys, int size) where T : unmanaged, ILanes<T>
    {
        int count = queries.Length / size;
        float[] sums = new float[queries.Length], largest = [float.NegativeInfinity, float.NegativeInfinity], norms = new float[2], scores = new float[2 * Chunk];
        fixed (float* q = queries, key = cache, s = sums, l = largest, n = norms, terms = scores)
            for (int chunk = 0; chunk < 2; chunk++)
            {
                var ahead = new Ahead(null, 0, 1);
                int seen = chunk == 0 ? Chunk : keys;
                CachedRows.Score<T>(q, count, key + chunk * Chunk * size, seen, size, terms, ref ahead);
                CachedRows.Add<T>(terms, count, key + (2 + chunk) * Chunk * size, seen, size, s, l, n, ref ahead);
            }
        for (int i = 0; i < sums.Length; i++) sums[i] /= norms[i / size];
        return sums;
    }
}
