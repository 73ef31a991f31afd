using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

/// <summary>The kernel of attention over a cache of bytes, beside that over floats.</summary>
public sealed class Int8CachedAttentionTests
{
    private const int Heads = 4, Groups = 2, Size = 16, Room = 150, Width = (Heads + 2 * Groups) * Size;

    /// <summary>No element of a token is larger, so neither is an element of the output.</summary>
    private const float Largest = 2.2f;

    /// <summary>Bytes reach exactly to the largest element.</summary>
    private const float Scale = Largest / 127;

    /// <summary>
    /// A rounded key is off by half a scale, so a score by δ = ½·scale·Σ|q|/√K ≤ ½·scale·√K·largest. A weight then grows or shrinks by e^δ, and its share of the sum by e^2δ at
    /// most; a rounded value is off by half a scale. So an output moves by at most (e^2δ − 1)·largest + ½·scale; arithmetic adds less than a hundredth of that.
    /// </summary>
    [Theory]
    [MemberData(nameof(KernelHarness.Widths), MemberType = typeof(KernelHarness))]
    public void Bytes_InsteadOfFloats_MoveTheOutputByNoMoreThanTheirRounding(string width)
    {
        const int length = 140;
        float[] tokens = Tokens(length, seed: 1), bytes = new Cache().Read(width, tokens, 0, length);
        float[] floats = KernelHarness.Run(
            KernelHarness.Node("CachedAttention", ("num_heads", Heads), ("kv_num_heads", Groups)), width, 2, TensorBuffer.Of(tokens, 1, length, Width),
            TensorBuffer.Zeros(ElementType.Float, 1, Groups, Room, Size), TensorBuffer.Zeros(ElementType.Float, 1, Groups, Room, Size), TensorBuffer.Of([length - 1], 1), TensorBuffer.Of([length]))[0];
        double delta = 0.5 * Scale * Math.Sqrt(Size) * Largest, bound = ((Math.Exp(2 * delta) - 1) * Largest + 0.5 * Scale) * 1.01;
        double[] differences = [.. floats.Zip(bytes, (a, b) => (double)Math.Abs(a - b))];
        Assert.InRange(differences.Max(), 1e-4, bound);     // and they are not the same
    }

    [Theory]
    [InlineData(1)]
    [InlineData(57)]
    public void Prompt_InPieces_GivesTheSameBits(int piece)
    {
        const int length = 140;
        float[] tokens = Tokens(length, seed: 1), whole = new Cache().Read(null, tokens, 0, length);
        var cache = new Cache();
        List<float> pieces = [];
        for (int past = 0; past < length; past += piece) pieces.AddRange(cache.Read(null, tokens, past, Math.Min(piece, length - past)));
        Assert.Equal(whole, pieces);
    }

    [Fact]
    public void Rows_OfDifferentLengths_GiveWhatEachGivesAlone()
    {
        Cache longer = new(), shorter = new();
        float[] first = Tokens(130, seed: 1), second = Tokens(40, seed: 7);
        longer.Read(null, first, 0, 129);
        shorter.Read(null, second, 0, 39);
        float[] together = Cache.Run(
            null, TensorBuffer.Of([.. first[(129 * Width)..], .. second[(39 * Width)..]], 2, 1, Width), Cache.Tensor([.. longer.Keys, .. shorter.Keys], 2),
            Cache.Tensor([.. longer.Values, .. shorter.Values], 2), TensorBuffer.Of([129, 39], 2), TensorBuffer.Of([130])).Y;
        Assert.Equal([.. longer.Read(null, first, 129, 1), .. shorter.Read(null, second, 39, 1)], together);
    }

    /// <summary>To the nearest, ties to even, cut off at the ends.</summary>
    [Fact]
    public void NewTokens_InTheCache_AreRounded()
    {
        float[] token = new float[Width];
        float[] units = [0.5f, 1.5f, -0.5f, -2.5f, 1000, -1000, 3.4f, -3.6f];
        for (int i = 0; i < units.Length; i++) token[Heads * Size + i] = units[i] / 64;
        var cache = new Cache(1f / 64);
        cache.Read(null, token, 0, 1);
        Assert.Equal([0, 2, 0, -2, 127, -128, 3, -4], cache.Keys[..8]);
    }

    [Fact]
    public void Scales_OfAnotherShape_AreRefused()
    {
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            Cache.Node, null, 1, TensorBuffer.Of(new float[Width], 1, 1, Width), Cache.Tensor(new sbyte[Groups * Room * Size], 1), Cache.Tensor(new sbyte[Groups * Room * Size], 1),
            TensorBuffer.Of([0], 1), TensorBuffer.Of([Room]), TensorBuffer.Of(new float[Size], 1, 1, 1, Size), TensorBuffer.Of(new float[Size], 1, 1, 1, Size)));
        Assert.Contains("input 5 must have the shape [1, 2, 1, 16], it has [1, 1, 1, 16]", error.Message, StringComparison.Ordinal);
    }

    private static float[] Tokens(int length, int seed) => [.. KernelHarness.Normal(length * Width, seed, 0.7f).Select(x => Math.Clamp(x, -Largest, Largest))];

    /// <summary>The cache of one sequence.</summary>
    private sealed class Cache(float scale = Scale)
    {
        internal static OneNode Node => KernelHarness.Node("Int8CachedAttention", ("num_heads", Heads), ("kv_num_heads", Groups));

        internal sbyte[] Keys { get; private set; } = new sbyte[Groups * Room * Size];

        internal sbyte[] Values { get; private set; } = new sbyte[Groups * Room * Size];

        internal static TensorBuffer Tensor(sbyte[] cache, int rows)
        {
            var buffer = TensorBuffer.Zeros(ElementType.Int8, rows, Groups, Room, Size);
            cache.CopyTo(buffer.Span<sbyte>());
            return buffer;
        }

        /// <summary>Runs the kernel with equal scales for all channels; the inputs are disposed.</summary>
        internal static (float[] Y, sbyte[] Keys, sbyte[] Values) Run(string? width, TensorBuffer tokens, TensorBuffer keys, TensorBuffer values, TensorBuffer lengths, TensorBuffer total, float scale = Scale)
        {
            var outputs = KernelHarness.RunAny(Node, width, 2, tokens, keys, values, lengths, total, Scales(scale), Scales(scale));
            return ((float[])outputs[0], (sbyte[])outputs[1], (sbyte[])outputs[2]);
        }

        /// <summary>Appends tokens behind the first <paramref name="past"/>.</summary>
        internal float[] Read(string? width, float[] tokens, int past, int count)
        {
            (float[] y, Keys, Values) = Run(
                width, TensorBuffer.Of(tokens.AsSpan(past * Width, count * Width), 1, count, Width), Tensor(Keys, 1), Tensor(Values, 1), TensorBuffer.Of([past + count - 1], 1), TensorBuffer.Of([past + count]), scale);
            return y;
        }

        private static TensorBuffer Scales(float scale) => TensorBuffer.Of([.. Enumerable.Repeat(scale, Groups * Size)], 1, Groups, 1, Size);
    }
}
