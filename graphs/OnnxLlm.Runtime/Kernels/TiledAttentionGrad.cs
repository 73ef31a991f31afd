using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Gradients of attention in blocks of 64 queries and 64 keys. Score tiles are [key][query lane] as in <see cref="TiledAttention"/>; the weights p
/// and score gradients ds of a tile are at once the left operands of dv += pᵀ·do and dk += dsᵀ·q, and ds the right one of dqᵀ += kᵀ·ds.
/// dk and dv stay in scratch until all queries of the head are through.
/// </summary>
internal static unsafe class TiledAttentionGrad
{
    private const int Queries = RowOperand.Stride, Keys = 64, Rows = AttentionTile.Rows;

    /// <summary>Scratch of one key/value head and of one block of queries.</summary>
    private struct Block
    {
        internal float* KeyPanels, ValuePanels, Keys, Dk, Dv; // [T, K], padded
        internal float* Query, Output, QueryTransposed, OutputTransposed, DqTransposed; // [64, K] and [K, 64]
        internal float* Weights, Gradients; // [64 keys, 64 queries]
        internal float* Lse, Along; // [64]: log2-sum-exp2 and Σ do·o of every query
        internal long PaddedK, FirstQuery;
    }

    internal static void Backward<T>(CausalAttentionGrad.Arguments* arguments, long batch, long head) where T : unmanaged, ILanes<T>
    {
        AttentionShape shape = arguments->Shape;
        long paddedT = AttentionCopies.RoundUp(shape.T, Queries), paddedK = AttentionCopies.RoundUp(shape.K, Math.Max(Rows, AttentionTile.Width<T>()));
        float* scratch = Scratch.Rent(5 * paddedT * paddedK + 5 * Queries * paddedK + 2 * Keys * Queries + 2 * Queries);
        Block block = Divide(scratch, paddedT, paddedK);
        long key = shape.Key(batch, head);
        AttentionCopies.CopyIn<T>(arguments->V + key, shape.KeyStride, shape.T, shape.K, block.Keys, paddedT, paddedK);
        AttentionCopies.Pack(block.Keys, paddedT, paddedK, block.ValuePanels);
        AttentionCopies.CopyIn<T>(arguments->K + key, shape.KeyStride, shape.T, shape.K, block.Keys, paddedT, paddedK);
        AttentionCopies.Pack(block.Keys, paddedT, paddedK, block.KeyPanels);
        NativeMemory.Clear(block.Dk, (nuint)(2 * paddedT * paddedK * sizeof(float)));
        for (long query = head * shape.Group; query < (head + 1) * shape.Group; query++)
            for (block.FirstQuery = 0; block.FirstQuery < shape.T; block.FirstQuery += Queries)
                Backward<T>(arguments, block, batch, query);
        AttentionCopies.Copy<T>(block.Dk, paddedK, shape.Scale, arguments->Dk + key, shape.KeyStride, shape.T, shape.K);
        AttentionCopies.Copy<T>(block.Dv, paddedK, 1, arguments->Dv + key, shape.KeyStride, shape.T, shape.K);
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
    private static void Backward<T>(CausalAttentionGrad.Arguments* arguments, in Block block, long batch, long head) where T : unmanaged, ILanes<T>
    {
        AttentionShape shape = arguments->Shape;
        long rows = Math.Min(Queries, shape.T - block.FirstQuery), width = block.PaddedK, lse = shape.Lse(batch, head) + block.FirstQuery;
        long query = shape.Query(batch, head) + block.FirstQuery * shape.QueryStride, output = shape.Output(batch, head) + block.FirstQuery * shape.OutputStride;
        AttentionCopies.CopyIn<T>(arguments->Q + query, shape.QueryStride, rows, shape.K, block.Query, Queries, width);
        AttentionCopies.CopyIn<T>(arguments->Do + output, shape.OutputStride, rows, shape.K, block.Output, Queries, width);
        AttentionCopies.Transpose(block.Query, Queries, width, width, block.QueryTransposed, Queries, shape.Scale * Exponential.Log2E);
        AttentionCopies.Transpose(block.Output, Queries, width, width, block.OutputTransposed, Queries, 1);
        NativeMemory.Clear(block.Lse, 2 * Queries * sizeof(float));
        for (long row = 0; row < rows; row++)
        {
            block.Lse[row] = arguments->Lse[lse + row] * Exponential.Log2E;
            block.Along[row] = RowMath.Dot<T>(block.Output + row * width, arguments->O + output + row * shape.OutputStride, shape.K);
        }
        for (long first = 0; first < block.FirstQuery + Queries; first += Keys)
            Backward<T>(block, first);

        // The transposed rows of queries are not needed any more and take dq.
        AttentionCopies.Transpose(block.DqTransposed, width, Queries, Queries, block.QueryTransposed, width, 1);
        AttentionCopies.Copy<T>(block.QueryTransposed, width, shape.Scale, arguments->Dq + query, shape.QueryStride, rows, shape.K);
    }

    /// <summary>One block of queries against one block of keys.</summary>
    private static void Backward<T>(in Block block, long first) where T : unmanaged, ILanes<T>
    {
        int tile = AttentionTile.Width<T>();
        long width = block.PaddedK;
        for (long t = first; t < first + Keys; t += Rows)
        {
            float* weights = block.Weights + (t - first) * Queries, gradients = block.Gradients + (t - first) * Queries;
            ScoreTiles<T>(block, t, weights, gradients);
            long skipped = Math.Max(0, t - block.FirstQuery); // queries before the tile's first key
            for (long c = 0; c < width; c += tile)
            {
                float* output = block.Output + skipped * width + c, query = block.Query + skipped * width + c;
                AttentionTile.Multiply<T, RowOperand>(Queries - skipped, weights + skipped, 1, output, width, block.Dv + t * width + c, width, add: true);
                AttentionTile.Multiply<T, RowOperand>(Queries - skipped, gradients + skipped, 1, query, width, block.Dk + t * width + c, width, add: true);
            }
        }
        for (long lane = 0; lane < Queries; lane += tile)
        {
            long seen = Math.Min(Keys, AttentionCopies.RoundUp(block.FirstQuery + lane + tile - first, Rows));
            float* keys = block.Keys + first * width, gradients = block.Gradients + lane, dq = block.DqTransposed + lane;
            for (long c = 0; c < width; c += Rows)
                AttentionTile.Multiply<T, PackedOperand>(seen, keys + c, width, gradients, Queries, dq + c * Queries, Queries, add: first > 0);
        }
    }

    /// <summary>Weights and score gradients of 8 keys; tiles whose queries all come before the keys are left out.</summary>
    private static void ScoreTiles<T>(in Block block, long t, float* weights, float* gradients) where T : unmanaged, ILanes<T>
    {
        int tile = AttentionTile.Width<T>();
        float* keys = block.KeyPanels + t * block.PaddedK, values = block.ValuePanels + t * block.PaddedK;
        for (long lane = Math.Max(0, (t - block.FirstQuery) / tile * tile); lane < Queries; lane += tile)
        {
            AttentionTile.Multiply<T, PackedOperand>(block.PaddedK, keys, Rows, block.QueryTransposed + lane, Queries, weights + lane, Queries, add: false);
            AttentionTile.Multiply<T, PackedOperand>(block.PaddedK, values, Rows, block.OutputTransposed + lane, Queries, gradients + lane, Queries, add: false);
            for (long part = lane; part < lane + tile; part += T.Count)
                Differentiate<T>(weights + part, gradients + part, block.Lse + part, block.Along + part, t - block.FirstQuery - part);
        }
    }

    /// <summary>
    /// In place: p = 2^(score − lse), 0 where the key is hidden, and ds = p·(dp − Σ do·o), for one vector of queries.
    /// <paramref name="offset"/> is the first key's position counted from the first query.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Differentiate<T>(float* scores, float* products, float* lse, float* along, long offset) where T : unmanaged, ILanes<T>
    {
        T lane = T.Indices, sum = T.Load(lse), mean = T.Load(along);
        for (long i = 0; i < Rows; i++, scores += Queries, products += Queries)
        {
            T weight = T.Exp2(T.Load(scores) - sum);
            if (offset + i > 0) weight = T.WhereLess(lane, T.All(offset + i), T.All(0), weight);
            T.Store(weight, scores);
            T.Store(weight * (T.Load(products) - mean), products);
        }
    }
}
