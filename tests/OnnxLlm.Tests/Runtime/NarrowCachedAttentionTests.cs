using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

/// <summary>The kernel of attention over a cache of bytes, or of floats of 16 bits, beside that over floats.</summary>
public sealed class NarrowCachedAttentionTests
{
    private const int Heads = 4, Groups = 2, Size = 16, Room = 150, Width = (Heads + 2 * Groups) * Size;

    /// <summary>No element of a token is larger, so neither is an element of the output.</summary>
    private const float Largest = 2.2f;

    /// <summary>Bytes reach exactly to the largest element.</summary>
    private const float Scale = Largest / 127;

    public static TheoryData<ElementType> Types => [ElementType.BFloat16, ElementType.Int8];

    public static TheoryData<ElementType, string> TypesAndWidths
    {
        get
        {
            var cases = new TheoryData<ElementType, string>();
            foreach (string width in KernelHarness.WidthNames)
            {
                cases.Add(ElementType.BFloat16, width);
                cases.Add(ElementType.Int8, width);
            }
            return cases;
        }
    }

    /// <summary>
    /// A rounded key is off by ε, half a scale or 2^-9 of the largest, so a score by δ = ε·Σ|q|/√K ≤ ε·√K·largest. A weight then grows or shrinks by e^δ, and its share of the sum by e^2δ at
    /// most; a rounded value is off by ε. So an output moves by at most (e^2δ − 1)·largest + ε; arithmetic adds less than a hundredth of that.
    /// </summary>
    [Theory]
    [MemberData(nameof(TypesAndWidths))]
    public void FewerBits_MoveTheOutputByNoMoreThanTheirRounding(ElementType type, string width)
    {
        const int length = 140;
        float[] tokens = Tokens(length, seed: 1), narrow = new Cache(type).Read(width, tokens, 0, length);
        float[] floats = KernelHarness.Run(
            KernelHarness.Node("CachedAttention", ("num_heads", Heads), ("kv_num_heads", Groups)), width, 2, TensorBuffer.Of(tokens, 1, length, Width),
            TensorBuffer.Zeros(ElementType.Float, 1, Groups, Room, Size), TensorBuffer.Zeros(ElementType.Float, 1, Groups, Room, Size), TensorBuffer.Of([length - 1], 1), TensorBuffer.Of([length]))[0];
        double error = type == ElementType.Int8 ? 0.5 * Scale : Largest / 512, delta = error * Math.Sqrt(Size) * Largest, bound = ((Math.Exp(2 * delta) - 1) * Largest + error) * 1.01;
        double[] differences = [.. floats.Zip(narrow, (a, b) => (double)Math.Abs(a - b))];
        Assert.InRange(differences.Max(), 1e-4, bound);     // and they are not the same
    }

    [Theory]
    [InlineData(ElementType.BFloat16, 1)]
    [InlineData(ElementType.BFloat16, 57)]
    [InlineData(ElementType.Int8, 1)]
    [InlineData(ElementType.Int8, 57)]
    public void Prompt_InPieces_GivesTheSameBits(ElementType type, int piece)
    {
        const int length = 140;
        float[] tokens = Tokens(length, seed: 1), whole = new Cache(type).Read(null, tokens, 0, length);
        var cache = new Cache(type);
        List<float> pieces = [];
        for (int past = 0; past < length; past += piece) pieces.AddRange(cache.Read(null, tokens, past, Math.Min(piece, length - past)));
        Assert.Equal(whole, pieces);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Rows_OfDifferentLengths_GiveWhatEachGivesAlone(ElementType type)
    {
        Cache longer = new(type), shorter = new(type), both = new(type);
        float[] first = Tokens(130, seed: 1), second = Tokens(40, seed: 7);
        longer.Read(null, first, 0, 129);
        shorter.Read(null, second, 0, 39);
        float[] together = both.Run(
            null, TensorBuffer.Of([.. first[(129 * Width)..], .. second[(39 * Width)..]], 2, 1, Width), both.Tensor([.. longer.Keys, .. shorter.Keys], 2),
            both.Tensor([.. longer.Values, .. shorter.Values], 2), TensorBuffer.Of([129, 39], 2), TensorBuffer.Of([130])).Y;
        Assert.Equal([.. longer.Read(null, first, 129, 1), .. shorter.Read(null, second, 39, 1)], together);
    }

    /// <summary>To the nearest, ties to even, cut off at the ends.</summary>
    [Fact]
    public void NewTokens_InTheCache_AreRounded()
    {
        float[] token = new float[Width];
        float[] units = [0.5f, 1.5f, -0.5f, -2.5f, 1000, -1000, 3.4f, -3.6f];
        for (int i = 0; i < units.Length; i++) token[Heads * Size + i] = units[i] / 64;
        var cache = new Cache(ElementType.Int8, 1f / 64);
        cache.Read(null, token, 0, 1);
        Assert.Equal([0, 2, 0, -2, 127, -128, 3, -4], cache.Keys[..8].Select(value => (sbyte)value));
    }

    /// <summary>To the nearest, ties to even; what is beyond the largest number is infinite, and a NaN stays one whatever its bits.</summary>
    [Fact]
    public void NewTokens_InACacheOf16Bits_AreRounded()
    {
        uint[] bits = [0x3F800000, 0x3F808000, 0x3F818000, 0x3F808001, 0x3F817FFF, 0xBF818000, 0x7F7FFFFF, 0x7FFFFFFF, 0xFF800001, 0x00008000];
        float[] token = new float[Width];
        for (int i = 0; i < bits.Length; i++) token[Heads * Size + i] = BitConverter.UInt32BitsToSingle(bits[i]);
        var cache = new Cache(ElementType.BFloat16);
        cache.Read(null, token, 0, 1);
        ushort[] keys = MemoryMarshal.Cast<byte, ushort>(cache.Keys).ToArray();
        Assert.Equal([0x3F80, 0x3F80, 0x3F82, 0x3F81, 0x3F81, 0xBF82, 0x7F80], keys[..7]);
        Assert.All(keys[7..9], key => Assert.True((key & 0x7FFF) > 0x7F80));
        Assert.Equal(0, keys[9]);
    }

    [Fact]
    public void Scales_OfAnotherShape_AreRefused()
    {
        var cache = new Cache(ElementType.Int8);
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            cache.Node, null, 1, TensorBuffer.Of(new float[Width], 1, 1, Width), cache.Tensor(cache.Keys, 1), cache.Tensor(cache.Values, 1),
            TensorBuffer.Of([0], 1), TensorBuffer.Of([Room]), TensorBuffer.Of(new float[Size], 1, 1, 1, Size), TensorBuffer.Of(new float[Size], 1, 1, 1, Size)));
        Assert.Contains("input 5 must have the shape [1, 2, 1, 16], it has [1, 1, 1, 16]", error.Message, StringComparison.Ordinal);
    }

    private static float[] Tokens(int length, int seed) => [.. KernelHarness.Normal(length * Width, seed, 0.7f).Select(x => Math.Clamp(x, -Largest, Largest))];

    /// <summary>The cache of one sequence.</summary>
    private sealed class Cache(ElementType type, float scale = Scale)
    {
        internal OneNode Node => KernelHarness.Node($"{type}CachedAttention", ("num_heads", Heads), ("kv_num_heads", Groups));

        internal byte[] Keys { get; private set; } = new byte[Groups * Room * Size * type.Size()];

        internal byte[] Values { get; private set; } = new byte[Groups * Room * Size * type.Size()];

        internal TensorBuffer Tensor(byte[] cache, int rows)
        {
            var buffer = TensorBuffer.Zeros(type, rows, Groups, Room, Size);
            cache.CopyTo(buffer.RawBytes());
            return buffer;
        }

        /// <summary>Runs the kernel, over bytes with equal scales for all channels; the inputs are disposed.</summary>
        internal (float[] Y, byte[] Keys, byte[] Values) Run(string? width, TensorBuffer tokens, TensorBuffer keys, TensorBuffer values, TensorBuffer lengths, TensorBuffer total)
        {
            TensorBuffer[] scales = type == ElementType.Int8 ? [Scales(scale), Scales(scale)] : [];
            var outputs = KernelHarness.RunAny(Node, width, 2, [tokens, keys, values, lengths, total, .. scales]);
            return ((float[])outputs[0], (byte[])outputs[1], (byte[])outputs[2]);
        }

        /// <summary>Appends tokens behind the first <paramref name="past"/>.</summary>
        internal float[] Read(string? width, float[] tokens, int past, int count)
        {
            (float[] y, Keys, Values) = Run(
                width, TensorBuffer.Of(tokens.AsSpan(past * Width, count * Width), 1, count, Width), Tensor(Keys, 1), Tensor(Values, 1), TensorBuffer.Of([past + count - 1], 1), TensorBuffer.Of([past + count]));
            return y;
        }

        private static TensorBuffer Scales(float scale) => TensorBuffer.Of([.. Enumerable.Repeat(scale, Groups * Size)], 1, Groups, 1, Size);
    }
}
