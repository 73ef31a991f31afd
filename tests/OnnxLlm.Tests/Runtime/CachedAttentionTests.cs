using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

public sealed class CachedAttentionTests
{
    private const int Heads = 4, Groups = 2, Size = 16, Room = 150, Width = (Heads + 2 * Groups) * Size;

    /// <summary>
    /// No number is above 2.2, so the magnitudes of a score's 16 terms add up to at most 19 (after the division by √16), and 18 roundings move it by 18·19 units of
    /// 2^-24. That moves a weight, and the sum of weights, by as much; each of the 130 additions below and above the line adds a unit.
    /// </summary>
    [Theory]
    [MemberData(nameof(KernelHarness.Widths), MemberType = typeof(KernelHarness))]
    public void Tokens_AnyWidth_EqualPlainLoop(string width)
    {
        var cache = new Cache(130);
        float[] actual = cache.Read(width, 100, 30), expected = cache.Expected(100, 30);
        double tolerance = Math.ScaleB(2.2 * 2 * (18 * 19 + 130), -24);
        for (int i = 0; i < expected.Length; i++) Assert.InRange(actual[i], expected[i] - tolerance, expected[i] + tolerance);
    }

    /// <summary>Chunks of keys begin at fixed places, blocks of queries do not matter: pieces of 1 and of 57 tokens, and the whole.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(57)]
    public void Prompt_InPieces_GivesTheSameBits(int piece)
    {
        const int length = 140;
        float[] whole = new Cache(length).Read(null, 0, length);
        var cache = new Cache(length);
        List<float> pieces = [];
        for (int past = 0; past < length; past += piece) pieces.AddRange(cache.Read(null, past, Math.Min(piece, length - past)));
        Assert.Equal(whole, pieces);
    }

    [Fact]
    public void Rows_OfDifferentLengths_GiveWhatEachGivesAlone()
    {
        Cache longer = new(130), shorter = new(40, seed: 7);
        longer.Read(null, 0, 129);
        shorter.Read(null, 0, 39);
        float[] keys = [.. longer.Keys, .. shorter.Keys], values = [.. longer.Values, .. shorter.Values], tokens = [.. longer.Token(129), .. shorter.Token(39)];
        float[] together = KernelHarness.Run(
            Cache.Node, null, 2, TensorBuffer.Of(tokens, 2, 1, Width), Cache.Tensor(keys, 2), Cache.Tensor(values, 2),
            TensorBuffer.Of([129, 39], 2), TensorBuffer.Of([130]), TensorBuffer.Of(longer.Cos, Room, Size / 2), TensorBuffer.Of(longer.Sin, Room, Size / 2))[0];
        Assert.Equal([.. longer.Read(null, 129, 1), .. shorter.Read(null, 39, 1)], together);
    }

    [Theory]
    [InlineData(3, 150, "qkv and the cache do not fit 4 heads over 3")]
    [InlineData(2, 151, "row 0 has 151 keys and 1 new tokens, the cache 150 positions")]
    public void Cache_ThatDoesNotFit_IsRefused(int groups, int keys, string message)
    {
        var node = KernelHarness.Node("CachedAttention", ("num_heads", Heads), ("kv_num_heads", groups));
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            node, null, 1, TensorBuffer.Of(new float[Width], 1, 1, Width), Cache.Tensor(new float[Groups * Room * Size], 1), Cache.Tensor(new float[Groups * Room * Size], 1),
            TensorBuffer.Of([keys - 1], 1), TensorBuffer.Of([Room])));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 150, "token 1 is at position 150 of slot 1, the cache has 150 positions in 2 slots")]
    [InlineData(2, 0, "token 1 is at position 0 of slot 2, the cache has 150 positions in 2 slots")]
    [InlineData(-1, 0, "token 1 is at position 0 of slot -1, the cache has 150 positions in 2 slots")]
    [InlineData(0, -1, "token 1 is at position -1 of slot 0, the cache has 150 positions in 2 slots")]
    public void Token_OutsideTheCache_IsRefused(long slot, long position, string message)
    {
        var node = KernelHarness.Node("RaggedCachedAttention", ("num_heads", Heads), ("kv_num_heads", Groups));
        float[] cache = new float[2 * Groups * Room * Size];
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            node, null, 1, TensorBuffer.Of(new float[2 * Width], 1, 2, Width), Cache.Tensor(cache, 2), Cache.Tensor(cache, 2), TensorBuffer.Of([0L, slot], 1, 2), TensorBuffer.Of([0L, position], 1, 2)));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    /// <summary>A sequence of random tokens and the cache that it is read into.</summary>
    private sealed class Cache(int length, int seed = 1)
    {
        private readonly float[] _tokens = [.. KernelHarness.Normal(length * Width, seed, 0.5f).Select(x => Math.Clamp(x, -2.2f, 2.2f))];

        internal static OneNode Node => KernelHarness.Node("RotaryCachedAttention", ("num_heads", Heads), ("kv_num_heads", Groups));

        internal float[] Keys { get; private set; } = new float[Groups * Room * Size];

        internal float[] Values { get; private set; } = new float[Groups * Room * Size];

        internal float[] Cos { get; } = [.. Enumerable.Range(0, Room * Size / 2).Select(i => MathF.Cos(Angle(i)))];

        internal float[] Sin { get; } = [.. Enumerable.Range(0, Room * Size / 2).Select(i => MathF.Sin(Angle(i)))];

        internal static TensorBuffer Tensor(float[] cache, int rows) => TensorBuffer.Of(cache, rows, Groups, Room, Size);

        internal ReadOnlySpan<float> Token(int index) => _tokens.AsSpan(index * Width, Width);

        /// <summary>Appends tokens behind the first <paramref name="past"/>; what an earlier call put behind those is written again.</summary>
        internal float[] Read(string? width, int past, int count)
        {
            if (past > 0 && Keys.AsSpan(0, Size).IndexOfAnyExcept(0) < 0) Read(width, 0, past);
            float[][] outputs = KernelHarness.Run(
                Node, width, 2, TensorBuffer.Of(_tokens.AsSpan(past * Width, count * Width), 1, count, Width), Tensor(Keys, 1), Tensor(Values, 1),
                TensorBuffer.Of([past + count - 1], 1), TensorBuffer.Of([past + count]), TensorBuffer.Of(Cos, Room, Size / 2), TensorBuffer.Of(Sin, Room, Size / 2));
            (Keys, Values) = (outputs[1], outputs[2]);
            return outputs[0];
        }

        internal float[] Expected(int past, int count)
        {
            float[] result = new float[count * Heads * Size];
            for (int token = past; token < past + count; token++)
                for (int head = 0; head < Heads; head++)
                {
                    int group = Heads + head * Groups / Heads;
                    double[] query = Turned(token, head), weights = [.. Enumerable.Range(0, token + 1).Select(key => Math.Exp(Turned(key, group).Zip(query, (a, b) => a * b).Sum() / Math.Sqrt(Size)))];
                    for (int i = 0; i < Size; i++)
                        result[((token - past) * Heads + head) * Size + i] = (float)(weights.Select((w, key) => w * _tokens[key * Width + (group + Groups) * Size + i]).Sum() / weights.Sum());
                }
            return result;
        }

        private double[] Turned(int token, int head)
        {
            ReadOnlySpan<float> x = _tokens.AsSpan(token * Width + head * Size, Size);
            double[] turned = new double[Size];
            for (int i = 0; i < Size / 2; i++)
            {
                double cos = Cos[token * Size / 2 + i], sin = Sin[token * Size / 2 + i];
                (turned[i], turned[i + Size / 2]) = (x[i] * cos - x[i + Size / 2] * sin, x[i + Size / 2] * cos + x[i] * sin);
            }
            return turned;
        }

        private static float Angle(int i) => i / (Size / 2) * MathF.Pow(10000, -(i % (Size / 2)) * 2f / Size);
    }
}
