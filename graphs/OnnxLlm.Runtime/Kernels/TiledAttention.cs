using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Attention in tiles of 32 queries (AVX-512), after FlashAttention (Dao et al., 2022) with the scores transposed: a tile is [key][query lane], so maximum
/// and sum over keys need no horizontal operation, and the weights are at once the right operand of oᵀ += vᵀ·pᵀ, whose left operand is a row of v as it lies.
/// Scores are kept in base 2. Any T and K: scratch is padded to whole tiles.
/// </summary>
internal static unsafe class TiledAttention
{
    internal const int Queries = 32, Keys = 64;

    /// <summary>Scratch of one head and the running state of one block of queries.</summary>
    private struct Block
    {
        internal float* KeyPanels, Values, Query, Output, Scores;
        internal long PaddedK, FirstQuery;
        internal Vector512<float> MaximumLeft, MaximumRight, SumLeft, SumRight;
    }

    internal static void Forward(CausalAttention.Arguments* arguments, long batch, long head)
    {
        AttentionShape shape = arguments->Shape;
        long paddedT = AttentionCopies.RoundUp(shape.T, Queries), paddedK = AttentionCopies.RoundUp(shape.K, 16), key = shape.Key(batch, head / shape.Group);
        float* scratch = Scratch.Rent(2 * paddedT * paddedK + 2 * Queries * paddedK + Keys * Queries);
        Block block = new() { PaddedK = paddedK, KeyPanels = scratch, Values = scratch + paddedT * paddedK };
        block.Query = block.Values + paddedT * paddedK;
        block.Output = block.Query + Queries * paddedK;
        block.Scores = block.Output + Queries * paddedK;
        AttentionCopies.CopyIn(arguments->K + key, shape.KeyStride, shape.T, shape.K, block.Values, paddedT, paddedK);
        AttentionCopies.Pack(block.Values, paddedT, paddedK, block.KeyPanels);
        AttentionCopies.CopyIn(arguments->V + key, shape.KeyStride, shape.T, shape.K, block.Values, paddedT, paddedK);
        for (block.FirstQuery = 0; block.FirstQuery < shape.T; block.FirstQuery += Queries)
            Forward(arguments, ref block, shape.Query(batch, head) + block.FirstQuery * shape.QueryStride, shape.Lse(batch, head) + block.FirstQuery);
        Scratch.Return(scratch);
    }

    private static void Forward(CausalAttention.Arguments* arguments, ref Block block, long query, long lse)
    {
        AttentionShape shape = arguments->Shape;
        long rows = Math.Min(Queries, shape.T - block.FirstQuery), width = block.PaddedK;

        // The rows of queries pass through the output's scratch on their way to being transposed.
        AttentionCopies.CopyIn(arguments->Q + query, shape.QueryStride, rows, shape.K, block.Output, Queries, width);
        AttentionCopies.Transpose(block.Output, Queries, width, width, block.Query, Queries, shape.Scale * Exp2Polynomial.Log2E);
        block.MaximumLeft = block.MaximumRight = Vector512.Create(float.NegativeInfinity);
        block.SumLeft = block.SumRight = Vector512<float>.Zero;
        long end = block.FirstQuery + Queries;
        for (long first = 0; first < end; first += Keys)
            Attend(ref block, first, Math.Min(Keys, end - first));

        float* sums = stackalloc float[4 * 16];
        StoreLogSumExp(block, sums);
        Unsafe.CopyBlockUnaligned(arguments->Lse + lse, sums, (uint)(rows * sizeof(float)));
        Scale(block.Output, width, Vector512<float>.One / block.SumLeft, Vector512<float>.One / block.SumRight);
        AttentionCopies.Transpose(block.Output, width, Queries, Queries, block.Query, width, 1);
        AttentionCopies.CopyOut(block.Query, width, 1, arguments->O + query, shape.QueryStride, rows, shape.K);
    }

    /// <summary>Natural logarithm of Σ e^score: (maximum + log2 Σ 2^(score − maximum))·ln 2.</summary>
    private static void StoreLogSumExp(in Block block, float* target)
    {
        const float ln2 = 0.693147181f;
        Vector512.Store((block.MaximumLeft + Vector512.Log2(block.SumLeft)) * ln2, target);
        Vector512.Store((block.MaximumRight + Vector512.Log2(block.SumRight)) * ln2, target + 16);
    }

    /// <summary>Lets the queries see <paramref name="count"/> more keys.</summary>
    private static void Attend(ref Block block, long first, long count)
    {
        for (long t = 0; t < count; t += 8)
        {
            float* keys = block.KeyPanels + (first + t) / AttentionCopies.Panel * AttentionCopies.Panel * block.PaddedK + (first + t) % AttentionCopies.Panel;
            float* scores = block.Scores + t * Queries;
            AttentionTile.Multiply<PackedOperand>(block.PaddedK, keys, AttentionCopies.Panel, block.Query, Queries, scores, Queries, add: false);
            if (first + t + 8 > block.FirstQuery) Mask(scores, first + t - block.FirstQuery);
        }
        Weigh(ref block, count, rescale: first > 0);
        float* values = block.Values + first * block.PaddedK;
        for (long c = 0; c < block.PaddedK; c += 8)
            AttentionTile.Multiply<PackedOperand>(count, values + c, block.PaddedK, block.Scores, Queries, block.Output + c * Queries, Queries, add: first > 0);
    }

    /// <summary>Hides keys from earlier queries: key i of the tile stands at <paramref name="offset"/> + i, counted from the first query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mask(float* scores, long offset)
    {
        Vector512<float> left = Vector512<float>.Indices, right = left + Vector512.Create(16f), hidden = Vector512.Create(float.NegativeInfinity);
        for (long i = 0; i < 8; i++, scores += Queries)
        {
            Vector512<float> position = Vector512.Create((float)(offset + i));
            Vector512.Store(Vector512.ConditionalSelect(Vector512.LessThan(left, position), hidden, Vector512.Load(scores)), scores);
            Vector512.Store(Vector512.ConditionalSelect(Vector512.LessThan(right, position), hidden, Vector512.Load(scores + 16)), scores + 16);
        }
    }

    /// <summary>Turns scores into weights 2^(score − maximum); what was summed before is rescaled if a maximum grew.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Weigh(ref Block block, long count, bool rescale)
    {
        Vector512<float> left = block.MaximumLeft, right = block.MaximumRight;
        float* scores = block.Scores;
        for (long i = 0; i < count; i++)
        {
            left = Avx512F.Max(left, Vector512.Load(scores + i * Queries));
            right = Avx512F.Max(right, Vector512.Load(scores + i * Queries + 16));
        }
        if (rescale && !(Vector512.EqualsAll(left, block.MaximumLeft) && Vector512.EqualsAll(right, block.MaximumRight)))
        {
            Vector512<float> factorLeft = Lanes512.Exp2(block.MaximumLeft - left), factorRight = Lanes512.Exp2(block.MaximumRight - right);
            (block.SumLeft, block.SumRight) = (block.SumLeft * factorLeft, block.SumRight * factorRight);
            Scale(block.Output, block.PaddedK, factorLeft, factorRight);
        }
        (block.MaximumLeft, block.MaximumRight) = (left, right);

        Vector512<float> sumLeft = block.SumLeft, sumRight = block.SumRight;
        for (long i = 0; i < count; i++)
        {
            Vector512<float> weightLeft = Lanes512.Exp2(Vector512.Load(scores + i * Queries) - left);
            Vector512<float> weightRight = Lanes512.Exp2(Vector512.Load(scores + i * Queries + 16) - right);
            Vector512.Store(weightLeft, scores + i * Queries);
            Vector512.Store(weightRight, scores + i * Queries + 16);
            (sumLeft, sumRight) = (sumLeft + weightLeft, sumRight + weightRight);
        }
        (block.SumLeft, block.SumRight) = (sumLeft, sumRight);
    }

    /// <summary>Multiplies every column of the transposed output by its query's factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale(float* output, long rows, Vector512<float> left, Vector512<float> right)
    {
        for (float* end = output + rows * Queries; output < end; output += Queries)
        {
            Vector512.Store(Vector512.Load(output) * left, output);
            Vector512.Store(Vector512.Load(output + 16) * right, output + 16);
        }
    }
}
