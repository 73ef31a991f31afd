using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Gradients of attention in blocks of 64 queries and 64 keys (AVX-512). Score tiles are [key][query lane] as in <see cref="TiledAttention"/>; the weights p
/// and score gradients ds of a tile are at once the left operands of dv += pᵀ·do and dk += dsᵀ·q, and ds the right one of dqᵀ += kᵀ·ds.
/// dk and dv stay in scratch until all queries of the head are through.
/// </summary>
internal static unsafe class TiledAttentionGrad
{
    private const int Queries = RowOperand.Stride, Keys = 64, Half = 32;

    /// <summary>Scratch of one key/value head and of one block of queries.</summary>
    private struct Block
    {
        internal float* KeyPanels, ValuePanels, Keys, Dk, Dv; // [T, K], padded
        internal float* Query, Output, QueryTransposed, OutputTransposed, DqTransposed; // [64, K] and [K, 64]
        internal float* Weights, Gradients; // [64 keys, 64 queries]
        internal float* Lse, Along; // [64]: log2-sum-exp2 and Σ do·o of every query
        internal long PaddedK, FirstQuery;
    }

    internal static void Backward(CausalAttentionGrad.Arguments* arguments, long batch, long head)
    {
        AttentionShape shape = arguments->Shape;
        long paddedT = AttentionCopies.RoundUp(shape.T, Queries), paddedK = AttentionCopies.RoundUp(shape.K, Half), key = shape.Key(batch, head);
        float* scratch = Scratch.Rent(5 * paddedT * paddedK + 5 * Queries * paddedK + 2 * Keys * Queries + 2 * Queries);
        Block block = Divide(scratch, paddedT, paddedK);
        AttentionCopies.CopyIn(arguments->V + key, shape.KeyStride, shape.T, shape.K, block.Keys, paddedT, paddedK);
        AttentionCopies.Pack(block.Keys, paddedT, paddedK, block.ValuePanels);
        AttentionCopies.CopyIn(arguments->K + key, shape.KeyStride, shape.T, shape.K, block.Keys, paddedT, paddedK);
        AttentionCopies.Pack(block.Keys, paddedT, paddedK, block.KeyPanels);
        NativeMemory.Clear(block.Dk, (nuint)(2 * paddedT * paddedK * sizeof(float)));
        for (long query = head * shape.Group; query < (head + 1) * shape.Group; query++)
            for (block.FirstQuery = 0; block.FirstQuery < shape.T; block.FirstQuery += Queries)
                Backward(arguments, block, shape.Query(batch, query) + block.FirstQuery * shape.QueryStride, shape.Lse(batch, query) + block.FirstQuery);
        AttentionCopies.CopyOut(block.Dk, paddedK, shape.Scale, arguments->Dk + key, shape.KeyStride, shape.T, shape.K);
        AttentionCopies.CopyOut(block.Dv, paddedK, 1, arguments->Dv + key, shape.KeyStride, shape.T, shape.K);
        Scratch.Return(scratch);
    }

    private static Block Divide(float* scratch, long paddedT, long paddedK)
    {
        long matrix = paddedT * paddedK, rows = Queries * paddedK, tile = Keys * Queries;
        float* small = scratch + 5 * matrix, tiles = small + 5 * rows, vectors = tiles + 2 * tile;
        return new Block
        {
            PaddedK = paddedK,
            KeyPanels = scratch,
            ValuePanels = scratch + matrix,
            Keys = scratch + 2 * matrix,
            Dk = scratch + 3 * matrix,
            Dv = scratch + 4 * matrix,
            Query = small,
            Output = small + rows,
            QueryTransposed = small + 2 * rows,
            OutputTransposed = small + 3 * rows,
            DqTransposed = small + 4 * rows,
            Weights = tiles,
            Gradients = tiles + tile,
            Lse = vectors,
            Along = vectors + Queries,
        };
    }

    /// <summary>One block of queries against all keys that they see.</summary>
    private static void Backward(CausalAttentionGrad.Arguments* arguments, in Block block, long query, long lse)
    {
        AttentionShape shape = arguments->Shape;
        long rows = Math.Min(Queries, shape.T - block.FirstQuery), width = block.PaddedK;
        AttentionCopies.CopyIn(arguments->Q + query, shape.QueryStride, rows, shape.K, block.Query, Queries, width);
        AttentionCopies.CopyIn(arguments->Do + query, shape.QueryStride, rows, shape.K, block.Output, Queries, width);
        AttentionCopies.Transpose(block.Query, Queries, width, width, block.QueryTransposed, Queries, shape.Scale * Exp2Polynomial.Log2E);
        AttentionCopies.Transpose(block.Output, Queries, width, width, block.OutputTransposed, Queries, 1);
        NativeMemory.Clear(block.Lse, 2 * Queries * sizeof(float));
        for (long row = 0; row < rows; row++)
        {
            block.Lse[row] = arguments->Lse[lse + row] * Exp2Polynomial.Log2E;
            block.Along[row] = RowMath.Dot<Lanes512>(block.Output + row * width, arguments->O + query + row * shape.QueryStride, shape.K);
        }
        for (long first = 0; first < block.FirstQuery + Queries; first += Keys)
            Backward(block, first);

        // The transposed rows of queries are not needed any more and take dq.
        AttentionCopies.Transpose(block.DqTransposed, width, Queries, Queries, block.QueryTransposed, width, 1);
        AttentionCopies.CopyOut(block.QueryTransposed, width, shape.Scale, arguments->Dq + query, shape.QueryStride, rows, shape.K);
    }

    /// <summary>One block of queries against one block of keys.</summary>
    private static void Backward(in Block block, long first)
    {
        long width = block.PaddedK;
        for (long t = first; t < first + Keys; t += 8)
        {
            float* weights = block.Weights + (t - first) * Queries, gradients = block.Gradients + (t - first) * Queries;
            ScoreTile(block, t, weights, gradients);
            long skipped = Math.Max(0, t - block.FirstQuery); // queries before the tile's first key
            for (long c = 0; c < width; c += Half)
            {
                long right = skipped * width + c;
                AttentionTile.Multiply<RowOperand>(Queries - skipped, weights + skipped, 1, block.Output + right, width, block.Dv + t * width + c, width, add: true);
                AttentionTile.Multiply<RowOperand>(Queries - skipped, gradients + skipped, 1, block.Query + right, width, block.Dk + t * width + c, width, add: true);
            }
        }
        for (long half = 0; half < Queries; half += Half)
        {
            long seen = Math.Min(Keys, block.FirstQuery + half + Half - first);
            float* keys = block.Keys + first * width;
            for (long c = 0; c < width; c += 8)
                AttentionTile.Multiply<PackedOperand>(
                    seen, keys + c, width, block.Gradients + half, Queries, block.DqTransposed + c * Queries + half, Queries, add: first > 0);
        }
    }

    /// <summary>Weights and score gradients of 8 keys; halves whose queries all come before the keys are left out.</summary>
    private static void ScoreTile(in Block block, long t, float* weights, float* gradients)
    {
        long panel = t / AttentionCopies.Panel * AttentionCopies.Panel * block.PaddedK + t % AttentionCopies.Panel;
        for (long half = 0; half < Queries; half += Half)
        {
            long offset = t - block.FirstQuery - half; // of the first key, counted from the half's first query
            if (offset >= Half) continue;
            float* scores = weights + half, products = gradients + half;
            AttentionTile.Multiply<PackedOperand>(
                block.PaddedK, block.KeyPanels + panel, AttentionCopies.Panel, block.QueryTransposed + half, Queries, scores, Queries, add: false);
            AttentionTile.Multiply<PackedOperand>(
                block.PaddedK, block.ValuePanels + panel, AttentionCopies.Panel, block.OutputTransposed + half, Queries, products, Queries, add: false);
            Differentiate(scores, products, block.Lse + half, block.Along + half, offset);
            Differentiate(scores + 16, products + 16, block.Lse + half + 16, block.Along + half + 16, offset - 16);
        }
    }

    /// <summary>In place: p = 2^(score − lse), 0 where the key is hidden, and ds = p·(dp − Σ do·o), for 16 queries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Differentiate(float* scores, float* products, float* lse, float* along, long offset)
    {
        Vector512<float> lane = Vector512<float>.Indices, sum = Vector512.Load(lse), mean = Vector512.Load(along);
        for (long i = 0; i < 8; i++, scores += Queries, products += Queries)
        {
            Vector512<float> weight = Lanes512.Exp2(Vector512.Load(scores) - sum);
            if (offset + i > 0)
                weight = Vector512.ConditionalSelect(Vector512.LessThan(lane, Vector512.Create((float)(offset + i))), Vector512<float>.Zero, weight);
            Vector512.Store(weight, scores);
            Vector512.Store(weight * (Vector512.Load(products) - mean), products);
        }
    }
}
