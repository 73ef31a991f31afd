using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The logits of some rows at a time, transposed: weight·xᵀ, [V, rows]. Neither they nor the weight are packed for that, and none of them for the weight's
/// gradient; maxima and sums go along the columns, many rows in the lanes of a vector. V tokens of the vocabulary, D width.
/// </summary>
internal unsafe struct LogitsChunk
{
    /// <summary>Rows are enough that reading the weight is hidden behind the arithmetic; more where their logits are few (16 MB).</summary>
    private const long FewestRows = 256, MostFloats = 1 << 22;

    /// <summary>Tokens whose exponentials one part sums up, and those that share a maximum.</summary>
    internal const long TokensPerPart = 512;
    private const long TokensPerMaximum = 8;

    /// <summary>
    /// A probability below 2^-80 of its row's largest counts as that in the row's sum, and has no gradient. Either is 2^-56 of what float32 can tell, and numbers near the end of its range,
    /// which it would become with its factor, make the products behind fifty times slower on processors that leave them to microcode.
    /// </summary>
    private const float Negligible = -80;

    internal VectorWidth Width;
    internal long V, D, Rows, MostRows;
    internal float* Weight, X, Logits;

    /// <summary>[parts, rows]: of the tokens of each part at first, then those of all tokens in front.</summary>
    internal float* Maxima, Sums;

    /// <summary>[rows]: what the exponentials of a row are multiplied by.</summary>
    internal float* Factors;

    internal readonly long Parts => ProductPacking.Panels(V, TokensPerPart);

    /// <summary>
    /// Rows of a chunk, of which all have about as many; it depends on the sizes alone, so that sums do. Logits of one row that were a multiple of 1 KB apart would fall
    /// into few lines of a cache.
    /// </summary>
    internal static long RowsOf(long rows, long tokens)
    {
        const long panel = 32, conflict = 256;
        long most = Math.Max(FewestRows, MostFloats / tokens / FewestRows * FewestRows);
        if (rows <= most) return rows;
        long even = ProductPacking.Panels(ProductPacking.Panels(rows, ProductPacking.Panels(rows, most)), panel) * panel;
        return even % conflict == 0 ? even + panel : even;
    }

    internal static LogitsChunk Rent(VectorWidth width, in KernelTensor x, in KernelTensor weight)
    {
        if (x.Rank != 2 || weight.Rank != 2 || x.Shape[1] != weight.Shape[1]) throw new ModelRuntimeException("x must be [N, D] and the weight [V, D]");
        if (x.Count == 0 || weight.Count == 0) throw new ModelRuntimeException("there are no logits");
        LogitsChunk chunk = new() { Width = width, V = weight.Shape[0], D = weight.Shape[1], Weight = weight.Floats };
        long most = chunk.MostRows = RowsOf(x.Shape[0], chunk.V);
        chunk.Logits = Scratch.Rent(most * (chunk.V + 2 * chunk.Parts + 1));
        chunk.Maxima = chunk.Logits + most * chunk.V;
        chunk.Sums = chunk.Maxima + most * chunk.Parts;
        chunk.Factors = chunk.Sums + most * chunk.Parts;
        return chunk;
    }

    internal readonly void Return() => Scratch.Return(Logits);

    /// <summary>The logits of the next rows of x, of which <paramref name="left"/> are left, and the sums of their exponentials.</summary>
    internal void Compute(ref KernelContext context, float* x, long left)
    {
        X = x;
        Rows = Math.Min(MostRows, left);
        ProductArguments product = new() { Width = Width, M = V, N = Rows, K = D, A = Weight, B = X, C = Logits, TransposeB = true };
        MatrixProduct.Run(ref context, &product);
        LogitsChunk chunk = this;
        context.ParallelFor((delegate* unmanaged<LogitsChunk*, nint, void>)&SumPart, Parts, &chunk, uneven: true);
        if (Width == VectorWidth.Bits512) Sum<Lanes512>();
        else if (Width == VectorWidth.Portable) Sum<PortableLanes>();
        else Sum<ScalarLane>();
    }

    /// <summary>The unscaled loss of a row with a label.</summary>
    internal readonly float Loss(long row, long label) => MathF.Log(Sums[row]) - (Logits[label * Rows + row] - Maxima[row]);

    /// <summary>Replaces the logits by scale·(softmax − onehot).</summary>
    internal readonly void Differentiate(ref KernelContext context, long* labels, float scale)
    {
        for (long row = 0; row < Rows; row++) Factors[row] = labels[row] == Labels.Ignored ? 0 : scale / Sums[row];
        LogitsChunk chunk = this;
        context.ParallelFor((delegate* unmanaged<LogitsChunk*, nint, void>)&DifferentiatePart, Parts, &chunk, uneven: true);
        for (long row = 0; row < Rows; row++)
            if (labels[row] != Labels.Ignored) Logits[labels[row] * Rows + row] -= scale;
    }

    [UnmanagedCallersOnly]
    private static void SumPart(LogitsChunk* chunk, nint part)
    {
        if (chunk->Width == VectorWidth.Bits512) chunk->SumPart<Lanes512>(part);
        else if (chunk->Width == VectorWidth.Portable) chunk->SumPart<PortableLanes>(part);
        else chunk->SumPart<ScalarLane>(part);
    }

    [UnmanagedCallersOnly]
    private static void DifferentiatePart(LogitsChunk* chunk, nint part)
    {
        if (chunk->Width == VectorWidth.Bits512) chunk->DifferentiatePart<Lanes512>(part);
        else if (chunk->Width == VectorWidth.Portable) chunk->DifferentiatePart<PortableLanes>(part);
        else chunk->DifferentiatePart<ScalarLane>(part);
    }

    private readonly void SumPart<T>(long part) where T : unmanaged, ILanes<T>
    {
        float* maxima = Maxima + part * Rows, sums = Sums + part * Rows;
        new Span<float>(maxima, (int)Rows).Fill(float.MinValue);    // no infinity, whose difference from another one is not a number
        new Span<float>(sums, (int)Rows).Clear();
        long end = Math.Min(V, (part + 1) * TokensPerPart);
        for (long token = part * TokensPerPart; token < end; token += TokensPerMaximum)
        {
            float* logits = Logits + token * Rows;
            long tokens = Math.Min(TokensPerMaximum, end - token), column = Add<T>(logits, tokens, maxima, sums, 0);
            Add<ScalarLane>(logits, tokens, maxima, sums, column);
        }
    }

    /// <summary>Adds the exponentials of some tokens to the sums of whole vectors of rows; returns the first row that is left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly long Add<T>(float* logits, long tokens, float* maxima, float* sums, long row) where T : unmanaged, ILanes<T>
    {
        T log2E = T.All(Exponential.Log2E), negligible = T.All(Negligible);
        for (; row <= Rows - T.Count; row += T.Count)
        {
            T before = T.Load(maxima + row), largest = before;
            float* end = logits + tokens * Rows;
            for (float* token = logits; token < end; token += Rows)
            {
                if (Sse.IsSupported) Sse.Prefetch0(token + TokensPerMaximum * Rows + row);    // no hardware foresees that eight rows go on behind the last one
                largest = T.Maximum(T.Load(token + row), largest);
            }
            T sum = T.Load(sums + row) * T.Exp2((before - largest) * log2E);
            for (float* token = logits; token < end; token += Rows) sum += T.Exp2(T.Maximum(negligible, (T.Load(token + row) - largest) * log2E));
            T.Store(largest, maxima + row);
            T.Store(sum, sums + row);
        }
        return row;
    }

    /// <summary>Joins the sums of all parts, in order.</summary>
    private readonly void Sum<T>() where T : unmanaged, ILanes<T>
    {
        for (long part = 1; part < Parts; part++) Join<ScalarLane>(Maxima + part * Rows, Sums + part * Rows, Join<T>(Maxima + part * Rows, Sums + part * Rows, 0));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly long Join<T>(float* maxima, float* sums, long row) where T : unmanaged, ILanes<T>
    {
        T log2E = T.All(Exponential.Log2E);
        for (; row <= Rows - T.Count; row += T.Count)
        {
            T left = T.Load(Maxima + row), right = T.Load(maxima + row), largest = T.Maximum(left, right);
            T sum = T.Load(Sums + row) * T.Exp2((left - largest) * log2E) + T.Load(sums + row) * T.Exp2((right - largest) * log2E);
            T.Store(largest, Maxima + row);
            T.Store(sum, Sums + row);
        }
        return row;
    }

    private readonly void DifferentiatePart<T>(long part) where T : unmanaged, ILanes<T>
    {
        long end = Math.Min(V, (part + 1) * TokensPerPart);
        for (long token = part * TokensPerPart; token < end; token++)
            Differentiate<ScalarLane>(Logits + token * Rows, Differentiate<T>(Logits + token * Rows, 0));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly long Differentiate<T>(float* logits, long row) where T : unmanaged, ILanes<T>
    {
        T log2E = T.All(Exponential.Log2E), negligible = T.All(Negligible), zero = T.All(0);
        for (; row <= Rows - T.Count; row += T.Count)
        {
            T exponent = (T.Load(logits + row) - T.Load(Maxima + row)) * log2E;
            T.Store(T.WhereLess(exponent, negligible, zero, T.Exp2(T.Maximum(negligible, exponent)) * T.Load(Factors + row)), logits + row);
        }

        return row;
    }
}
