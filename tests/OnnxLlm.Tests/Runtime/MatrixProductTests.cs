using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Tests.Runtime;

public sealed class MatrixProductTests
{
    /// <summary>
    /// Below, at and off the tiles of 6 and of 12 rows and 2 vectors; several parts of rows and of columns, rows that are a multiple of 4 KB apart, and more than the
    /// 2048 steps packed at a time.
    /// </summary>
    private static readonly (int M, int N, int K)[] Sizes =
        [(1, 1, 1), (5, 3, 7), (6, 32, 64), (12, 32, 64), (13, 37, 300), (200, 150, 33), (30, 40, 544), (9, 1100, 2100), (32, 20, 1024), (109, 130, 1024)];

    public static TheoryData<string, int, bool, bool, bool> Cases
    {
        get
        {
            var cases = new TheoryData<string, int, bool, bool, bool>();
            foreach (string width in KernelHarness.WidthNames)
                for (int size = 0; size < Sizes.Length; size++)
                    for (int form = 0; form < 8; form++)
                        cases.Add(width, size, (form & 1) != 0, (form & 2) != 0, (form & 4) != 0);
            return cases;
        }
    }

    /// <summary>Partial sums of K products of numbers below 1 round K times by 2^-24 of at most √K, in independent directions.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Product_AnyWidthAndForm_EqualsPlainLoop(string width, int size, bool transposeA, bool transposeB, bool biased)
    {
        var (m, n, k) = Sizes[size];
        float[] a = Numbers(1, m * k), b = Numbers(2, k * n), bias = Numbers(3, n);
        float[] actual = Run(width, 2, (m, n, k), transposeA, transposeB, a, b, biased ? bias : null);
        double tolerance = Math.ScaleB(4 * (Math.Sqrt(k) + 1) * Math.Sqrt(k), -24) + Math.ScaleB(4, -24);
        for (int row = 0; row < m; row++)
            for (int column = 0; column < n; column++)
            {
                double sum = biased ? bias[column] : 0;
                for (int i = 0; i < k; i++)
                    sum += (double)a[transposeA ? i * m + row : row * k + i] * b[transposeB ? column * k + i : i * n + column];
                Assert.InRange(actual[row * n + column], sum - tolerance, sum + tolerance);
            }
    }

    [Theory]
    [InlineData(false, 200)]
    [InlineData(true, 200)]
    [InlineData(true, 100)]
    public void Product_AnyNumberOfThreads_GivesTheSameBits(bool transposeA, int rows)
    {
        var size = (M: rows, N: 150, K: 300);
        float[] a = Numbers(1, size.M * size.K), b = Numbers(2, size.K * size.N);
        Assert.Equal(Run(null, 1, size, transposeA, false, a, b, null), Run(null, 3, size, transposeA, false, a, b, null));
    }

    /// <summary>The smaller, transposed operand is larger than what is packed at a time. Ones and whole numbers give exact sums.</summary>
    [Fact]
    public void Product_OfLongTransposedRows_IsExactInWholeNumbers()
    {
        var size = (M: 1100, N: 1210, K: 2100);
        float[] a = [.. Enumerable.Range(0, size.K * size.M).Select(i => (float)(i % size.M % 5))], b = [.. Enumerable.Range(0, size.K * size.N).Select(i => (float)(i % size.N % 7))];
        float[] actual = Run(null, 2, size, true, false, a, b, null);
        for (int row = 0; row < size.M; row++)
            for (int column = 0; column < size.N; column++)
                Assert.Equal(size.K * (row % 5) * (column % 7), actual[row * size.N + column]);
    }

    /// <summary>Parts of the steps are packed at the same time: what one wrote behind its last step would land in the first of the next.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(11)]
    public void PackingTiles_WritesNothingBehindItsSteps(int steps)
    {
        PackTwoTiles<PortableLanes>(steps);
        PackTwoTiles<Lanes512>(steps);
    }

    /// <summary>Of eleven parts, one of two processors would wait for the other's last.</summary>
    [Theory]
    [InlineData(1024, 768, 3072, false, false)]
    [InlineData(1024, 256, 2048, true, false)]
    [InlineData(1024, 2304, 768, false, true)]
    [InlineData(256, 768, 2048, true, true)]
    public unsafe void Parts_AreAsManyForEveryProcessor(int m, int n, int k, bool transposeA, bool leftFirst)
    {
        long height = ProductTile.Rows<PortableLanes>(), width = ProductTile.Width<PortableLanes>();
        ProductArguments x = new()
        {
            M = m,
            N = n,
            K = k,
            TransposeA = transposeA,
            LeftFirst = transposeA && leftFirst,
            RightInParts = !transposeA && leftFirst,
            TileRows = height,
            TileWidth = width,
            Panels = ProductPacking.Panels(n, width),
            Steps = k,
        };
        ProductParts.Divide(&x);
        long parts = x.RowParts * x.ColumnParts, most = leftFirst ? ProductPacking.Panels(n, width) : ProductPacking.Panels(m, height) / 2;
        Assert.True(parts % Environment.ProcessorCount == 0 || parts >= most, $"{parts} parts");
    }

    [Fact]
    public unsafe void NextBlock_GivesTheLinesOfEachRun()
    {
        float* first = stackalloc float[300];
        var block = new NextBlock(first, runs: 3, run: 40, stride: 100);
        foreach (int offset in new[] { 0, 16, 32, 100, 116, 132, 200, 216, 232 }) Assert.Equal(offset, block.TakeLine() - first);
    }

    /// <summary>The lines are there when the tile needs them, and not so early that a cache has lost them again; few steps leave no choice.</summary>
    [Theory]
    [InlineData(256, 8)]
    [InlineData(144, 1)]
    [InlineData(40, 0)]
    public unsafe void TileAhead_TakesTheRowsOfTheResultLast(int depth, int pause)
    {
        float* result = stackalloc float[1];
        TileAhead ahead = default;
        ahead.Begin(result, 5000, rows: 12, columns: 32, depth);
        for (int ask = 0; ask < pause; ask++) Assert.True(ahead.Pauses());
        Assert.False(ahead.Pauses());
        for (int i = 0; i < 12; i++) Assert.Equal(5000 * i, ahead.TakeRow() - result);
        Assert.True(ahead.TakeRow() == null);
    }

    /// <summary>A block of a few steps would read and write the whole result once more.</summary>
    [Theory]
    [InlineData(5, 16)]
    [InlineData(256, 256)]
    [InlineData(288, 144)]
    [InlineData(544, 192)]
    [InlineData(2048, 256)]
    public unsafe void Steps_AreDividedEvenly(int steps, int depth)
    {
        ProductArguments x = new() { M = 96, N = 96, K = steps, Steps = steps, TileRows = 6, TileWidth = 16, Panels = 6 };
        ProductParts.Divide(&x);
        Assert.Equal(depth, x.Depth);
    }

    private static unsafe void PackTwoTiles<T>(int steps) where T : unmanaged, ILanes<T>
    {
        int height = ProductTile.Rows<T>(), rows = 2 * height;
        long stride = ProductPacking.Stride(steps + 1, height);
        float* source = stackalloc float[steps * rows], tiles = stackalloc float[2 * (int)stride];
        for (int i = 0; i < steps * rows; i++) source[i] = i;
        new Span<float>(tiles, 2 * (int)stride).Fill(-1);
        ProductPacking.Tiles<T>(source, rows, steps, rows, rows, tiles, stride);
        for (int tile = 0; tile < 2; tile++)
            for (int i = 0; i < (steps + 1) * height; i++)
            {
                var (step, row) = (i / height, tile * height + i % height);
                Assert.Equal(step < steps ? step * rows + row : -1, tiles[tile * stride + i]);
            }
    }

    [Fact]
    public void Product_InnerSizesDiffer_SaysSo()
    {
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            KernelHarness.Node("MatrixProduct", ("transA", 0), ("transB", 0)), null, 1, TensorBuffer.Of(new float[6], 2, 3), TensorBuffer.Of(new float[8], 4, 2)));
        Assert.Contains("inner sizes", error.Message, StringComparison.Ordinal);
    }

    private static float[] Run(string? width, int threads, (int M, int N, int K) size, bool transposeA, bool transposeB, float[] a, float[] b, float[]? bias)
    {
        var node = KernelHarness.Node(bias is null ? "MatrixProduct" : "BiasedProduct", ("transA", transposeA ? 1 : 0), ("transB", transposeB ? 1 : 0));
        TensorBuffer left = transposeA ? TensorBuffer.Of(a, size.K, size.M) : TensorBuffer.Of(a, size.M, size.K);
        TensorBuffer right = transposeB ? TensorBuffer.Of(b, size.N, size.K) : TensorBuffer.Of(b, size.K, size.N);
        return KernelHarness.Run(node, width, threads, bias is null ? [left, right] : [left, right, TensorBuffer.Of(bias, size.N)])[0];
    }

    private static float[] Numbers(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];
    }
}
