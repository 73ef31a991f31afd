using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Tools.Inspect;

/// <summary>Cases for every function: sizes below, at and above the widths of vectors and tiles, with odd remainders, and the special values it must handle.</summary>
internal static class KernelCases
{
    private static readonly (long Rows, long Width)[] Sizes = [(1, 1), (5, 7), (3, 33), (67, 130), (4, 1000)];

    private static readonly (long B, long T, long H, long G, long K)[] AttentionSizes =
        [(1, 1, 1, 1, 2), (2, 5, 2, 2, 4), (1, 33, 4, 2, 16), (2, 70, 3, 1, 32), (1, 130, 2, 2, 64), (1, 65, 2, 1, 24)];

    internal static ImmutableArray<KernelCase> All { get; } =
    [
        .. Products(), .. QuantizedProducts(), .. CachedAttentionCases.All,
        .. Rows("RmsNorm", (n, d) => [[n, d], [d]], x => [x[0], x[1]]),
        .. Rows("RmsNormGrad", (n, d) => [[n, d], [n, d], [d]], x => [x[0], x[1], x[2], Call("RmsNorm", [x[1], x[2]])[1]]),
        .. Rows("RmsNormGradWithValue", (n, d) => [[n, d], [n, d], [d]], x => [x[0], x[1], x[2], Call("RmsNorm", [x[1], x[2]])[1]]),
        .. Rows("LayerNorm", (n, d) => [[n, d], [d], [d]], x => x),
        .. Rows("SkipRmsNorm", (n, d) => [[1, n, d], [1, n, d], [d]], x => x).Select(InSingle),
        .. Rows("SkipLayerNorm", (n, d) => [[1, n, d], [1, n, d], [d], [d]], x => x).Select(InSingle),
        .. Rows("LayerNormGrad", (n, d) => [[n, d], [n, d], [d]], x => [x[0], x[1], x[2], .. Call("LayerNorm", [x[1], x[2], x[2]])[1..]]),
        .. Rows("LayerNormGradWithValue", (n, d) => [[n, d], [n, d], [d], [d]], x => [x[0], x[1], x[2], .. Call("LayerNorm", [x[1], x[2], x[3]])[1..], x[3]]),
        .. Rows("Gelu", (n, d) => [[n, d]], x => x),
        new("Gelu", "far from zero", [[50]], 1, (_, x) => Call("Gelu", x)) { Range = (-30, 30) },
        .. Rows("GeluGrad", (n, d) => [[n, d], [n, d]], x => x),
        new("GeluGrad", "far from zero", [[50], [50]], 1, (_, x) => Call("GeluGrad", x)) { Range = (-30, 30) },
        .. Rows("GeluGradWithValue", (n, d) => [[n, d], [n, d]], x => x),
        new("GeluGradWithValue", "far from zero", [[50], [50]], 1, (_, x) => Call("GeluGradWithValue", x)) { Range = (-30, 30) },
        .. Rows("SwiGlu", (n, d) => [[n, d], [n, d]], x => x),
        new("SwiGlu", "far from zero", [[50], [50]], 1, (_, x) => Call("SwiGlu", x)) { Range = (-100, 100) },
        .. Rows("PackedSwiGlu", (n, d) => [[n, 2 * d.Value]], x => x).Select(InSingle),
        .. Rows("SwiGluGrad", (n, d) => [[n, d], [n, d], [n, d]], x => x),
        .. Rows("SwiGluGradWithValue", (n, d) => [[n, d], [n, d], [n, d]], x => x),
        .. AttentionSizes.Select(s => new KernelCase(
            "RotaryEmbedding", Name(s), [[s.B, s.T, s.H * s.K], [s.T, s.K / 2], [s.T, s.K / 2]], 2, (_, x) => Call("RotaryEmbedding", x, ("heads", s.H)))),
        .. AttentionSizes.Select(s => new KernelCase(
            "CausalAttention", Name(s), AttentionShapes(s), s.T * s.K, (_, x) => Call("CausalAttention", x, ("heads", s.H), ("kv_heads", s.G)))),
        .. AttentionSizes.Select(s => new KernelCase("CausalAttentionGrad", Name(s), [[s.B, s.T, s.H * s.K], .. AttentionShapes(s)], s.T * s.K, (_, x) =>
        {
            (string, AttributeValue)[] heads = [("heads", s.H), ("kv_heads", s.G)];
            return Call("CausalAttentionGrad", [.. x, .. Call("CausalAttention", x[1..], heads)], heads);
        })),
        .. AttentionSizes.Select(s => new KernelCase(
            "PackedAttention", Name(s), [Packed(s)], s.T * s.K, (_, x) => Call("PackedAttention", x, ("heads", s.H), ("kv_heads", s.G)))),
        .. AttentionSizes.Select(s => new KernelCase("PackedAttentionGrad", Name(s), [[s.B, s.T, s.H * s.K], Packed(s)], s.T * s.K, (_, x) =>
        {
            (string, AttributeValue)[] heads = [("heads", s.H), ("kv_heads", s.G)];
            return Call("PackedAttentionGrad", [.. x, .. Call("PackedAttention", x[1..], heads)], heads);
        })),
        .. AttentionSizes.Where(s => s.H == s.G).Select(s => new KernelCase("MaskedAttention", Name(s), AttentionShapes(s), s.T * s.K, (_, x) => Masked(x, s.H))),
        .. AttentionSizes.Where(s => s.H == s.G).Select(s => new KernelCase("MaskedAttentionGrad", Name(s), [[s.B, s.T, s.H * s.K], .. AttentionShapes(s)], s.T * s.K, (_, x) =>
        {
            var output = Masked(x[1..], s.H)[0];
            return Call("MaskedAttentionGrad", [.. x, Padded(x[0]), output], ("heads", s.H));
        })),
        .. AttentionSizes.Where(s => s.H == s.G).Select(s => new KernelCase("BiasedAttention", Name(s), Biased(s), s.T * s.K, (_, x) => Call("BiasedAttention", x, ("heads", s.H)))),
        .. AttentionSizes.Where(s => s.H == s.G).Select(s => new KernelCase("BiasedAttentionGrad", Name(s), [[s.B, s.T, s.H * s.K], .. Biased(s)], s.T * s.K, (_, x) =>
            Call("BiasedAttentionGrad", [.. x, Call("BiasedAttention", x[1..], ("heads", s.H))[0]], ("heads", s.H)))),
        .. Rows("ScatterAddRows", (n, d) => [[9, d], [n, d]], x => [x[0], Ids(x[1], 9), x[1]]),
        .. Rows("SoftmaxCrossEntropy", (n, v) => [[n, v]], x => [x[0], Labels(x[0], 3), x[0].Graph.Scalar(0.25, x[0])]),
        Loss("SoftmaxCrossEntropy", "all rows ignored", ignoredEvery: 1),
        Loss("SoftmaxCrossEntropy", "no row ignored", ignoredEvery: 0),
        .. Rows("TokenLoss", (n, v) => [[n, v]], x => [x[0], Labels(x[0], 3)]),
        Loss("TokenLoss", "all rows ignored", ignoredEvery: 1),
        .. Linear(),
        .. Rows("After", (n, d) => [[n, d], [n, d]], x => x),
        new("After", "of another shape, signal not a number", [[3, 4, 5], [2]], 1, (g, x) => Call("After", [x[0], g.Log(x[1] - 3)])),
        .. Rows("SquaredNorm", (n, d) => [[n, d]], x => x, (n, d) => n * d),
        .. Rows("Accumulate", (n, d) => [[n, d], [n, d]], x => [.. x, GradientCases.Bools(x[0].Graph, [1], false)]),
        new("Accumulate", "reset drops what was there, NaN too", [[33], [33]], 1, (g, x) =>
            Call("Accumulate", [g.Log(x[0] - 3), x[1], GradientCases.Bools(g, [1], true)])),
        .. Rows("AdamW", (n, d) => [[n, d], [n, d], [n, d], [n, d]], x => AdamW(x, scale: 0.5)),
        new("AdamW", "scale not a number", [[33], [33], [33], [33]], 1, (_, x) => Call("AdamW", AdamW(x, double.NaN), Decay)),
        new("AdamW", "infinite scale, gradient not a number", [[33], [33], [33], [33]], 1, (g, x) =>
            Call("AdamW", AdamW([x[0], g.Log(x[1] - 3), x[2], x[3]], double.PositiveInfinity), Decay)),
        .. QuantizedAdamWCases(),
        .. Rows("Sgd", (n, d) => [[n, d], [n, d]], x => [.. x, x[0].Graph.Scalar(0.1, x[0]), x[0].Graph.Scalar(0.5, x[0])]),
        new("Sgd", "infinite scale", [[33], [33]], 1, (g, x) => Call("Sgd", [.. x, g.Scalar(0.1, x[0]), g.Scalar(double.NegativeInfinity, x[0])], Decay)),
        new("Adam", "plain", [[5, 7], [5, 7], [5, 7], [5, 7]], 1, (_, x) => Call("Adam", AdamW(x, scale: 0.5), Decay)),
        .. OneState("Momentum"), .. OneState("AdaGrad"), .. OneState("RmsProp"),
        new("NewtonSchulz", "wide", [[3, 9]], 9 * NewtonSchulzGrowth, (_, x) => Call("NewtonSchulz", x)),
    ];

    /// <summary>Every form of the product: single elements, sizes off the tile of 6 rows and 2 vectors, and several blocks of rows, columns and steps.</summary>
    private static IEnumerable<KernelCase> Products() =>
        from size in new (long M, long N, long K)[] { (1, 1, 1), (5, 3, 7), (13, 37, 300), (101, 160, 33), (7, 1100, 2100), (160, 101, 300), (1100, 7, 2100) }
        from form in new[] { (A: 0, B: 0), (A: 0, B: 1), (A: 1, B: 0), (A: 1, B: 1) }
        let name = $"{size.M}x{size.N}x{size.K}{(form.A == 0 ? "" : " Aᵀ")}{(form.B == 0 ? "" : " Bᵀ")}"
        let factors = new[] { Stored(size.M, size.K, form.A), Stored(size.K, size.N, form.B) }
        let transposed = new (string, AttributeValue)[] { ("transA", form.A), ("transB", form.B) }
        from test in new KernelCase[]
        {
            new("MatrixProduct", name, [.. factors], size.K, (_, x) => Call("MatrixProduct", x, transposed)),
            new("BiasedProduct", name, [.. factors, [size.N]], size.K, (_, x) => Call("BiasedProduct", x, transposed)),
            Accumulated(name, size, factors, transposed, reset: false),
            Accumulated(name, size, factors, transposed, reset: true),
        }
        select test;

    /// <summary>One chunk of rows and two, one part of 512 tokens and several, sizes off the vectors; more rows than width and less.</summary>
    private static IEnumerable<KernelCase> Linear() =>
        from size in new (long N, long D, long V)[] { (1, 1, 1), (5, 3, 9), (20, 33, 130), (257, 3, 16400), (300, 270, 33), (3, 5, 1030) }
        let name = $"{size.N}x{size.D}, {size.V} tokens"
        let sum = size.N + size.D + size.V    // one sum after the other
        from test in new KernelCase[]
        {
            new("LinearTokenLoss", name, [[size.N, size.D], [size.V, size.D]], sum, (_, x) => Call("LinearTokenLoss", [x[0], x[1], Labels(x[0], size.V, 3)])),
            CrossEntropy(name, size, sum, ignoredEvery: 3, reset: false),
            CrossEntropy($"{name}, reset", size, sum, ignoredEvery: 0, reset: true),
            CrossEntropy($"{name}, all rows ignored", size, sum, ignoredEvery: 1, reset: false),
        }
        select test;

    private static KernelCase CrossEntropy(string form, (long N, long D, long V) size, long longestSum, int ignoredEvery, bool reset) => new(
        "LinearCrossEntropy", form, [[size.V, size.D], [size.N, size.D], [size.V, size.D]], longestSum, (g, x) => Call(
            "LinearCrossEntropy", [.. x, Labels(x[1], size.V, ignoredEvery), g.Scalar(0.25, x[0]), GradientCases.Bools(g, [1], reset)]));

    /// <summary>
    /// Groups of every size, rows of weights that fill no tile, a last block that is padded, blocks of one and of several chunks. Activations are whole numbers
    /// of which every chunk has one of ±127: those are left as they are where activations are rounded to 8 bits.
    /// </summary>
    private static IEnumerable<KernelCase> QuantizedProducts() =>
        from m in new long[] { 1, 2, 3, 4, 7, 8, 20 }
        from size in new (long N, long K, long Block)[] { (1, 32, 32), (5, 96, 32), (67, 300, 32), (130, 256, 128), (33, 260, 64) }
        let blocks = (size.K + size.Block - 1) / size.Block
        select new KernelCase("QuantizedProduct", $"{m}x{size.N}x{size.K} in blocks of {size.Block}", [[m, size.K], [size.N, blocks, size.Block], [size.N, blocks]], size.K, (g, x) =>
        {
            var a = g.Emit("Clip", [g.Emit("Floor", [x[0] * 1000], x[0].Type, x[0].Shape), g.Scalar(-127, x[0]), g.Scalar(127, x[0])], x[0].Type, x[0].Shape);
            return Call("QuantizedProduct", [a, g.Cast(x[1] * 63 + 128, ElementType.UInt8), x[2]], ("K", size.K), ("N", size.N), ("block_size", size.Block));
        })
        {
            Reference = ElementType.Float,
        };

    private static KernelCase Accumulated(
        string name, (long M, long N, long K) size, TensorShape[] factors, (string, AttributeValue)[] transposed, bool reset) => new(
        "AccumulatedProduct", $"{name}{(reset ? ", reset" : "")}", [[size.M, size.N], .. factors], size.K,
        (g, x) => Call("AccumulatedProduct", [.. x, GradientCases.Bools(g, [1], reset)], transposed));

    private static TensorShape Stored(long rows, long columns, int transposed) => transposed == 0 ? [rows, columns] : [columns, rows];

    private static (string, AttributeValue)[] Decay => [("weight_decay", 0.1f)];

    private static ImmutableArray<Value> Call(string function, Value[] inputs, params (string, AttributeValue)[] attributes) =>
        FunctionList.Named(function).Call(inputs[0].Graph, inputs, attributes);

    /// <summary>The runtime has the body's operators in single precision only.</summary>
    private static KernelCase InSingle(KernelCase test) => test with { Reference = ElementType.Float };

    /// <summary>A bias of all sequences for one third more keys than queries.</summary>
    private static ImmutableArray<TensorShape> Biased((long B, long T, long H, long G, long K) s)
    {
        TensorShape keys = [s.B, s.T + s.T / 3, s.H * s.K];
        return [[s.B, s.T, s.H * s.K], keys, keys, [1, s.H, s.T, s.T + s.T / 3]];
    }

    private static ImmutableArray<Value> Masked(Value[] qkv, long heads) => Call("MaskedAttention", [.. qkv, Padded(qkv[0])], ("heads", heads));

    /// <summary>A mask for x [B, T, ..] that hides every third token, the second first.</summary>
    private static Value Padded(Value x)
    {
        var (rows, time) = (x.Shape[0].Value, x.Shape[1].Value);
        return GradientCases.Ints(x.Graph, [rows, time], [.. Enumerable.Range(0, (int)(rows * time)).Select(i => i % time % 3 == 1 ? 0L : 1)]);
    }

    /// <summary>A function of rows, with every size.</summary>
    private static IEnumerable<KernelCase> Rows(
        string function, Func<Dimension, Dimension, ImmutableArray<TensorShape>> shapes, Func<Value[], Value[]> inputs, Func<long, long, long>? longestSum = null) =>
        Sizes.Select(size => new KernelCase(
            function,
            $"{size.Rows}x{size.Width}",
            shapes(size.Rows, size.Width),
            longestSum?.Invoke(size.Rows, size.Width) ?? Math.Max(size.Rows, size.Width),
            (_, x) => Call(function, inputs(x))));

    private static KernelCase Loss(string function, string form, int ignoredEvery) => new(function, form, [[7, 40]], 40, (g, x) =>
        Call(function, function == "TokenLoss" ? [x[0], Labels(x[0], ignoredEvery)] : [x[0], Labels(x[0], ignoredEvery), g.Scalar(0.25, x[0])]));

    /// <summary>A label for every row of the logits, the ignored one for one row in so many (0: none).</summary>
    private static Value Labels(Value logits, int ignoredEvery) => Labels(logits, logits.Shape[1].Value, ignoredEvery);

    private static Value Labels(Value rows, long vocabulary, int ignoredEvery) => rows.Graph.Int64s(
        [.. Enumerable.Range(0, (int)rows.Shape[0].Value).Select(i => ignoredEvery > 0 && i % ignoredEvery == 0 ? -100 : (7 * i + 3) % vocabulary)]);

    /// <summary>An id for every row; they repeat.</summary>
    private static Value Ids(Value rows, int count) => rows.Graph.Int64s([.. Enumerable.Range(0, (int)rows.Shape[0].Value).Select(i => (long)(5 * i % count))]);

    private static Value[] AdamW(Value[] x, double scale)
    {
        double[] scalars = [0.01, scale, 0.3, 0.02]; // learning rate, gradient scale, biases
        return [x[0], x[1], x[2], x[3] * x[3], .. scalars.Select(s => x[0].Graph.Scalar(s, x[0]))];
    }

    /// <summary>One block, several, and more than one part; blocks in which nothing may change, and such that have only zeros.</summary>
    private static IEnumerable<KernelCase> QuantizedAdamWCases()
    {
        foreach (var (rows, width) in new (long, long)[] { (1, 64), (6, 96), (33, 1024) })
            yield return Case($"{rows}x{width}", rows, width, x => x, 0.5);
        yield return Case("zeros", 2, 64, x => x * 0, 0.5);
        yield return Case("scale not a number", 2, 96, x => x, double.NaN);
        yield return Case("infinite scale, gradient not a number", 2, 96, x => x.Graph.Log(x - 3), double.PositiveInfinity);

        KernelCase Case(string form, long rows, long width, Func<Value, Value> gradient, double scale)
        {
            TensorShape whole = [rows, width], scales = [rows * width / QuantizedAdamW.Block];
            return new("QuantizedAdamW", form, [whole, whole, whole, scales, whole, scales], 1, (g, x) =>
            {
                Value Codes(Value value) => g.Cast(g.Floor(value * 63), ElementType.Int8);
                return Call("QuantizedAdamW", [x[0], gradient(x[1]), Codes(x[2]), x[3] * x[3], Codes(x[4]), x[5] * x[5], .. AdamW(x, scale)[4..], g.Scalar(0.3, x[0])], Decay);
            });
        }
    }

    /// <summary>Each of five iterations multiplies a small singular value, and the rounding error beside it, by up to 3.4445.</summary>
    private const int NewtonSchulzGrowth = 485;

    /// <summary>An update with one state tensor, in general and where nothing may change.</summary>
    private static IEnumerable<KernelCase> OneState(string function) => new[] { ("plain", 0.5), ("scale not a number", double.NaN) }.Select(form => new KernelCase(
        function, form.Item1, [[5, 7], [5, 7], [5, 7]], 1, (g, x) => Call(function, [x[0], x[1], x[2] * x[2], g.Scalar(0.01, x[0]), g.Scalar(form.Item2, x[0])], Decay)));

    private static ImmutableArray<TensorShape> AttentionShapes((long B, long T, long H, long G, long K) s) =>
        [[s.B, s.T, s.H * s.K], [s.B, s.T, s.G * s.K], [s.B, s.T, s.G * s.K]];

    private static TensorShape Packed((long B, long T, long H, long G, long K) s) => [s.B, s.T, (s.H + 2 * s.G) * s.K];

    private static string Name((long B, long T, long H, long G, long K) s) => $"B{s.B} T{s.T} H{s.H} G{s.G} K{s.K}";
}
