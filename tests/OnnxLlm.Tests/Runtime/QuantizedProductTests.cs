using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Tests.Runtime;

public sealed class QuantizedProductTests
{
    /// <summary>The forms that this machine has.</summary>
    public static TheoryData<string> Forms => [.. Supported.Select(form => form.ToString())];

    private static IEnumerable<QuantizedForm> Supported =>
        from form in Enum.GetValues<QuantizedForm>()
        where form == QuantizedForm.Avx2 || (form == QuantizedForm.Avx512 ? Avx512BW.IsSupported : AvxVnni.IsSupported)
        select form;

    /// <summary>
    /// Groups of eight, four, two and one row, and together, and more than the 64 of the wide forms; weights that fill no tile, several parts of them, and a last
    /// block that is padded.
    /// </summary>
    public static TheoryData<string, int, int, int, int> Sizes
    {
        get
        {
            var sizes = new TheoryData<string, int, int, int, int>();
            foreach (QuantizedForm form in Supported)
                foreach (int m in (int[])[1, 2, 4, 8, 15, 40, 70])
                    foreach (var (n, k, block) in ((int, int, int)[])[(1, 32, 32), (7, 50, 32), (37, 300, 32), (133, 320, 64), (70, 1500, 128), (34, 300, 256)])
                        sizes.Add(form.ToString(), m, n, k, block);
            return sizes;
        }
    }

    /// <summary>
    /// An activation is rounded by at most half of max|a| / 32766, the largest of its row, or of max|a| / 127, the largest of its 32 where they have 8 bits; sums of chunks are
    /// exact integers, rounded to 24 bits before they are scaled, then added: each of the chunks + 10 operations rounds by 2^-24 of at most the sum of magnitudes.
    /// </summary>
    [Theory]
    [MemberData(nameof(Sizes))]
    public void Product_OfAnySize_IsWithinTheRoundingOfItsActivations(string form, int m, int n, int k, int block)
    {
        bool ofBytes = form == nameof(QuantizedForm.Vnni) && n >= QuantizedForms.Lanes(QuantizedForm.Vnni);
        int blocks = (k + block - 1) / block;
        float[] a = KernelHarness.Normal(m * k, 1), scales = KernelHarness.Normal(n * blocks, 2, 0.01f);
        byte[] values = Values(n * blocks * block);
        float[] actual = Run(2, a, m, k, n, values, scales, form);
        for (int row = 0; row < m; row++)
        {
            double[] steps = [.. ofBytes
                ? a.Skip(row * k).Take(k).Chunk(32).SelectMany(chunk => Enumerable.Repeat(chunk.Max(Math.Abs) / 127.0, chunk.Length))
                : Enumerable.Repeat(a.Skip(row * k).Take(k).Max(Math.Abs) / 32766.0, k)];
            for (int column = 0; column < n; column++)
            {
                double sum = 0, magnitudes = 0, rounding = 0;
                for (int i = 0; i < k; i++)
                {
                    double w = (double)scales[column * blocks + i / block] * (values[column * blocks * block + i] - 128);
                    sum += a[row * k + i] * w;
                    magnitudes += Math.Abs(a[row * k + i] * w);
                    rounding += steps[i] / 2 * Math.Abs(w);
                }
                double tolerance = rounding + Math.ScaleB((k / 32 + 10) * (magnitudes + rounding), -24);
                Assert.InRange(actual[row * n + column], sum - tolerance, sum + tolerance);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Row_AloneOrAmongOthers_HasTheSameBits(string form)
    {
        const int rows = 71, n = 70, k = 300, block = 32;
        float[] a = KernelHarness.Normal(rows * k, 3), scales = KernelHarness.Normal(n * 10, 4);
        byte[] values = Values(n * 10 * block);
        float[] together = Run(2, a, rows, k, n, values, scales, form);
        for (int row = 0; row < rows; row++)
            Assert.Equal(Run(1, a[(row * k)..((row + 1) * k)], 1, k, n, values, scales, form), together[(row * n)..((row + 1) * n)]);
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Row_WithAnInfinityOrNaN_GivesNaNsAndLeavesTheOthers(string form)
    {
        const int n = 17, k = 64;
        float[] scales = KernelHarness.Normal(n * 2, 4);
        byte[] values = Values(n * k);
        float[] a = [.. KernelHarness.Normal(k, 5), .. KernelHarness.Normal(k, 6), .. new float[k], .. KernelHarness.Normal(k, 7)];
        float[] clean = Run(1, a, 4, k, n, values, scales, form);
        (a[3], a[k + 40]) = (float.NaN, float.NegativeInfinity);
        float[] marred = Run(1, a, 4, k, n, values, scales, form);
        Assert.All(marred[..(2 * n)], y => Assert.Equal(float.NaN, y));
        Assert.All(marred[(2 * n)..(3 * n)], y => Assert.Equal(0, y));
        Assert.Equal(clean[(3 * n)..], marred[(3 * n)..]);
    }

    /// <summary>On a machine with AVX-VNNI; others have no such weights.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(70)]
    public unsafe void Product_OfInterleavedWeights_HasTheSameBits(int m)
    {
        if (!AvxVnni.IsSupported) return;
        foreach (var (n, k, block) in ((int, int, int)[])[(8, 32, 32), (40, 300, 32), (128, 320, 64), (24, 1500, 128)])
        {
            int blocks = (k + block - 1) / block, size = blocks * block;
            float[] a = KernelHarness.Normal(m * k, 1), scales = [.. KernelHarness.Normal(n * blocks, 2, 0.01f).Select(scale => BFloat16.Value(BFloat16.Round(scale)))];
            byte[] values = Values(n * size), weights = new byte[n * size];
            TensorBuffer ordered = TensorBuffer.Zeros(ElementType.Float, n / 8, blocks, 8), narrow = TensorBuffer.Zeros(ElementType.Float, n / 8, blocks, 4);
            for (int row = 0; row < n; row++)
            {
                for (int i = 0; i < size; i++) weights[(row / 8 * size / 4 + i / 4) * 32 + row % 8 * 4 + i % 4] = values[row * size + i];
                for (int i = 0; i < blocks; i++)
                {
                    int place = (row / 8 * blocks + i) * 8 + row % 8;
                    ordered.Span<float>()[place] = scales[row * blocks + i];
                    MemoryMarshal.Cast<float, ushort>(narrow.Span<float>())[place] = BFloat16.Round(scales[row * blocks + i]);
                }
            }
            byte[] interleaved = new byte[8 * size];
            fixed (byte* source = values, target = interleaved) InterleavedWeights.Interleave(source, size, target);
            Assert.Equal(weights[..interleaved.Length], interleaved);
            float[] expected = Run(2, a, m, k, n, values, scales, nameof(QuantizedForm.Vnni));
            Assert.Equal(expected, Run(TensorBuffer.Of(a, m, k), weights, block, ordered));
            Assert.Equal(expected, Run(TensorBuffer.Of(a, m, k), weights, block, narrow));
        }
    }

    /// <summary>On a machine with AVX-512; others have them interleaved, or not.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(70)]
    public void Product_OfScalesOfSixteenBits_HasTheSameBits(int m)
    {
        if (!Avx512BW.IsSupported) return;
        foreach (var (n, k, block) in ((int, int, int)[])[(16, 64, 32), (40, 310, 32), (128, 640, 64), (24, 1500, 128)])
        {
            int blocks = (k + block - 1) / block;
            float[] a = KernelHarness.Normal(m * k, 1), scales = [.. KernelHarness.Normal(n * blocks, 2, 0.01f).Select(scale => BFloat16.Value(BFloat16.Round(scale)))];
            byte[] values = Values(n * blocks * block);
            TensorBuffer weights = TensorBuffer.Zeros(ElementType.UInt8, n, blocks, block), narrow = TensorBuffer.Zeros(ElementType.Float, n, blocks / 2);
            values.CopyTo(weights.Span<byte>());
            Span<ushort> halves = MemoryMarshal.Cast<float, ushort>(narrow.Span<float>());
            for (int i = 0; i < scales.Length; i++) halves[i] = BFloat16.Round(scales[i]);
            Assert.Equal(Run(2, a, m, k, n, values, scales, nameof(QuantizedForm.Avx512)), KernelHarness.Run(KernelHarness.Node("QuantizedProduct"), width: null, 2, TensorBuffer.Of(a, m, k), weights, narrow)[0]);
        }
    }

    /// <summary>A vector of them would begin before the weights.</summary>
    [Fact]
    public void Product_OfScalesOfSixteenBits_ForTooFewRows_SaysSo()
    {
        TensorBuffer weights = TensorBuffer.Zeros(ElementType.UInt8, 8, 2, 32), narrow = TensorBuffer.Zeros(ElementType.Float, 8, 1);
        Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(KernelHarness.Node("QuantizedProduct"), width: null, 1, TensorBuffer.Of(new float[64], 1, 64), weights, narrow));
    }

    [Theory]
    [InlineData(33, 2, 32, null)]
    [InlineData(65, 2, 32, "weights of 2 blocks of 32 do not fit rows of 65 activations")]
    [InlineData(32, 2, 32, "weights of 2 blocks of 32 do not fit rows of 32 activations")]
    [InlineData(32, 2, 16, "blocks must be multiples of 32 long, not 16")]
    public void Product_OfWeightsThatDoNotFit_SaysSo(int k, int blocks, int block, string? message)
    {
        float[] Product() => Run(1, new float[k], 1, k, 1, new byte[blocks * block], new float[blocks]);
        if (message is null) Assert.Equal([0f], Product());
        else Assert.Contains(message, Assert.Throws<ModelRuntimeException>(Product).Message, StringComparison.Ordinal);
    }

    private static byte[] Values(int count)
    {
        byte[] values = new byte[count];
        new Random(9).NextBytes(values);
        return values;
    }

    /// <summary>Of weights in the order of the instruction.</summary>
    private static float[] Run(TensorBuffer a, byte[] values, int block, TensorBuffer scales)
    {
        TensorBuffer weights = TensorBuffer.Zeros(ElementType.UInt8, scales.Shape[0], scales.Shape[1], block / 4, 32);
        values.CopyTo(weights.Span<byte>());
        return KernelHarness.Run(KernelHarness.Node("QuantizedProduct"), width: null, 2, a, weights, scales)[0];
    }

    private static float[] Run(int threads, float[] a, int m, int k, int n, byte[] values, float[] scales, string? form = null)
    {
        QuantizedForms.Forced = form is null ? null : Enum.Parse<QuantizedForm>(form);
        int blocks = scales.Length / n;
        TensorBuffer weights = TensorBuffer.Zeros(ElementType.UInt8, n, blocks, values.Length / scales.Length);
        values.CopyTo(weights.Span<byte>());
        try
        {
            return KernelHarness.Run(KernelHarness.Node("QuantizedProduct"), width: null, threads, TensorBuffer.Of(a, m, k), weights, TensorBuffer.Of(scales, n, blocks))[0];
        }
        finally
        {
            QuantizedForms.Forced = null;
        }
    }
}
