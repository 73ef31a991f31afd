using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Attention in blocks of two vectors of queries, after FlashAttention (Dao et al., 2022) with the scores transposed: a tile is [key][query lane], so maximum
/// and sum over keys need no horizontal operation, and the weights are at once the right operand of oᵀ += vᵀ·pᵀ, whose left operand is a row of v as it lies.
/// Scores are kept in base 2. Any T and K: scratch is padded to whole tiles.
/// </summary>
internal static unsafe class TiledAttention
{
    private const int Keys = 64;

    /// <summary>Scratch of one head, and the state of one block of queries: W lanes, where W is the width of a tile.</summary>
    private struct Block
    {
        internal float* KeyPanels, Values; // [T, K], padded
        internal float* Query, Output; // [K, W]
        internal float* Scores; // [64, W]
        internal float* Maximum, Sum; // [W]
        internal long PaddedK, FirstQuery;
    }

    internal static void Forward<T>(CausalAttention.Arguments* arguments, long batch, long head) where T : unmanaged, ILanes<T>
    {
        AttentionShape shape = arguments->Shape;
        int width = AttentionTile.Width<T>();
        long paddedT = AttentionCopies.RoundUp(shape.T, Math.Max(width, AttentionTile.Rows)), paddedK = AttentionCopies.RoundUp(shape.K, AttentionTile.Rows);
        float* scratch = Scratch.Rent(2 * paddedT * paddedK + width * (2 * paddedK + Keys + 2));
        Block block = Divide(scratch, paddedT, paddedK, width);
        long key = shape.Key(batch, head / shape.Group);
        AttentionCopies.CopyIn<T>(arguments->K + key, shape.KeyStride, shape.T, shape.K, block.Values, paddedT, paddedK);
        AttentionCopies.Pack(block.Values, paddedT, paddedK, block.KeyPanels);
        AttentionCopies.CopyIn<T>(arguments->V + key, shape.KeyStride, shape.T, shape.K, block.Values, paddedT, paddedK);
        for (block.FirstQuery = 0; block.FirstQuery < shape.T; block.FirstQuery += width)
            Forward<T>(arguments, block, batch, head);
        Scratch.Return(scratch);
    }

    private static Block Divide(float* scratch, long paddedT, long paddedK, int width)
    {
        float* blocks = scratch + 2 * paddedT * paddedK, rest = blocks + 2 * width * paddedK;
        return new Block
        {
            PaddedK = paddedK,
            KeyPanels = scratch,
            Values = scratch + paddedT * paddedK,
            Query = blocks,
            Output = blocks + width * paddedK,
            Scores = rest,
            Maximum = rest + Keys * width,
            Sum = rest + (Keys + 1) * width,
        };
    }

    private static void Forward<T>(CausalAttention.Arguments* arguments, in Block block, long batch, long head) where T : unmanaged, ILanes<T>
    {
        AttentionShape shape = arguments->Shape;
        int width = AttentionTile.Width<T>();
        long rows = Math.Min(width, shape.T - block.FirstQuery), end = block.FirstQuery + width, lse = shape.Lse(batch, head) + block.FirstQuery;
        float* query = arguments->Q + shape.Query(batch, head) + block.FirstQuery * shape.QueryStride;
        float* output = arguments->O + shape.Output(batch, head) + block.FirstQuery * shape.OutputStride;

        // The rows of queries pass through the output's scratch on their way to being transposed.
        AttentionCopies.CopyIn<T>(query, shape.QueryStride, rows, shape.K, block.Output, width, block.PaddedK);
        AttentionCopies.Transpose(block.Output, width, block.PaddedK, block.PaddedK, block.Query, width, shape.Scale * Exponential.Log2E);
        new Span<float>(block.Maximum, width).Fill(float.NegativeInfinity);
        NativeMemory.Clear(block.Sum, (nuint)width * sizeof(float));
        for (long first = 0; first < end; first += Keys)
            Attend<T>(block, first, Math.Min(Keys, AttentionCopies.RoundUp(end - first, AttentionTile.Rows)));

        for (long row = 0; row < rows; row++)
            arguments->Lse[lse + row] = block.Maximum[row] / Exponential.Log2E + MathF.Log(block.Sum[row]);
        for (long lane = 0; lane < width; lane += T.Count)
            Scale(block.Output + lane, block.PaddedK, T.All(1) / T.Load(block.Sum + lane));
        AttentionCopies.Transpose(block.Output, block.PaddedK, width, width, block.Query, block.PaddedK, 1);
        AttentionCopies.Copy<T>(block.Query, block.PaddedK, 1, output, shape.OutputStride, rows, shape.K);
    }

    /// <summary>Lets the queries see <paramref name="count"/> more keys.</summary>
    private static void Attend<T>(in Block block, long first, long count) where T : unmanaged, ILanes<T>
    {
        int width = AttentionTile.Width<T>();
        for (long t = 0; t < count; t += AttentionTile.Rows)
        {
            float* keys = block.KeyPanels + (first + t) * block.PaddedK, scores = block.Scores + t * width;
            AttentionTile.Multiply<T, PackedOperand>(block.PaddedK, keys, AttentionTile.Rows, block.Query, width, scores, width, add: false);
            if (first + t + AttentionTile.Rows > block.FirstQuery) Mask<T>(scores, first + t - block.FirstQuery);
        }
        Weigh<T>(block, 0, count);
        Weigh<T>(block, T.Count, count);
        float* values = block.Values + first * block.PaddedK;
        for (long c = 0; c < block.PaddedK; c += AttentionTile.Rows)
            AttentionTile.Multiply<T, PackedOperand>(count, values + c, block.PaddedK, block.Scores, width, block.Output + c * width, width, add: first > 0);
    }

    /// <summary>Hides keys from earlier queries: key i of the tile stands at <paramref name="offset"/> + i, counted from the first query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mask<T>(float* scores, long offset) where T : unmanaged, ILanes<T>
    {
        T left = T.Indices, right = left + T.All(T.Count), hidden = T.All(float.NegativeInfinity);
        for (long i = 0; i < AttentionTile.Rows; i++, scores += 2 * T.Count)
        {
            T position = T.All(offset + i);
            T.Store(T.WhereLess(left, position, hidden, T.Load(scores)), scores);
            T.Store(T.WhereLess(right, position, hidden, T.Load(scores + T.Count)), scores + T.Count);
        }
    }

    /// <summary>Turns one vector of queries' scores into weights 2^(score − maximum); what was summed before is rescaled if a maximum grew.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Weigh<T>(in Block block, long lane, long count) where T : unmanaged, ILanes<T>
    {
        float* scores = block.Scores + lane, end = scores + count * 2 * T.Count;
        T before = T.Load(block.Maximum + lane), maximum = before, sum = T.Load(block.Sum + lane);
        for (float* score = scores; score < end; score += 2 * T.Count) maximum = T.Maximum(T.Load(score), maximum);
        if (!T.Same(before, maximum) && !T.Same(sum, T.All(0)))
        {
            T factor = T.Exp2(before - maximum);
            sum *= factor;
            Scale(block.Output + lane, block.PaddedK, factor);
        }
        for (float* score = scores; score < end; score += 2 * T.Count)
        {
            T weight = T.Exp2(T.Load(score) - maximum);
            T.Store(weight, score);
            sum += weight;
        }
        T.Store(maximum, block.Maximum + lane);
        T.Store(sum, block.Sum + lane);
    }

    /// <summary>Multiplies one vector of columns of the transposed output.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale<T>(float* output, long rows, T factor) where T : unmanaged, ILanes<T>
    {
        for (float* end = output + rows * 2 * T.Count; output < end; output += 2 * T.Count)
            T.Store(T.Load(output) * factor, output);
    }
}
