using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Runtime.Memory;

/// <summary>
/// What kernels rent beside the runtime's arena. Blocks are kept and rented again by whichever node comes next, so what counts is, for the largest block,
/// the second largest and so on, the node that needs most of it.
/// </summary>
internal static class KernelScratch
{
    /// <summary>As in the kernel of products: what is packed of one operand at a time, and rows, columns and steps of what a part packs.</summary>
    private const long MostSteps = 2048, MostFloats = 1 << 21, PartRows = 96, PartColumns = 128, Depth = 256;

    public static long Peak(IEnumerable<Graph> graphs, int threads)
    {
        var largest = new long[threads + 2];
        foreach (var node in graphs.SelectMany(g => g.Nodes))
            foreach (var (i, floats) in Blocks(node, threads).OrderDescending().Index()) largest[i] = Math.Max(largest[i], floats);
        return largest.Sum() * sizeof(float);
    }

    /// <summary>Blocks, in floats, that a node has at the same time: what it shares between its threads, at most two, and what each thread has of its own.</summary>
    private static IEnumerable<long> Blocks(Node n, int threads) => n.Function?.Name switch
    {
        "MatrixProduct" or "BiasedProduct" => Product(n, 0, threads),
        "AccumulatedProduct" => Product(n, 1, threads),
        "LinearCrossEntropy" => Chunk(n[1].Shape, n[2].Shape, threads),
        "LinearTokenLoss" => Chunk(n[0].Shape, n[1].Shape, threads),
        "CausalAttention" => Enumerable.Repeat(2 * Head(n[1].Shape, Groups(n)), threads),
        "CausalAttentionGrad" => Enumerable.Repeat(5 * Head(n[2].Shape, Groups(n)), threads),
        "PackedAttention" => Enumerable.Repeat(2 * Head(n[0].Shape, n.Attributes.Int("heads", 1) + 2 * Groups(n)), threads),
        "PackedAttentionGrad" => Enumerable.Repeat(5 * Head(n[1].Shape, n.Attributes.Int("heads", 1) + 2 * Groups(n)), threads),
        _ => [],
    };

    private static IEnumerable<long> Product(Node n, int first, int threads)
    {
        var c = n.Output.Shape;
        return ProductParts.PacksRightInParts(c[0].Value, c[1].Value, n.Attributes.Int("transA", 0) != 0)
            ? Enumerable.Repeat(PartColumns * Depth, threads)
            : [Packed(n, first), .. Enumerable.Repeat(PartRows * Depth, threads)];
    }

    /// <summary>The logits of a chunk of rows, and what its products pack: rows of x, or of logits or weight as many steps as are packed at a time.</summary>
    private static IEnumerable<long> Chunk(TensorShape x, TensorShape weight, int threads)
    {
        long tokens = weight[0].Value, width = weight[1].Value, rows = LogitsChunk.RowsOf(x[0].Value, tokens);
        long packed = Math.Min(MostFloats, Math.Max(rows * width, Math.Min(rows, width) * Math.Min(MostSteps, tokens)));
        return [rows * tokens, packed, .. Enumerable.Repeat(PartRows * Depth, threads)];
    }

    /// <summary>Of the operand that is packed before, as much as is packed at a time; the factors are the inputs <paramref name="first"/> and the next.</summary>
    private static long Packed(Node n, int first)
    {
        var (a, c) = (n[first].Shape, n.Output.Shape);
        bool transposed = n.Attributes.Int("transA", 0) != 0;
        long size = transposed ? Math.Min(c[0].Value, c[1].Value) : c[1].Value, steps = Math.Min(MostSteps, a[transposed ? 0 : 1].Value);
        return size * steps / ((size * steps + MostFloats - 1) / MostFloats);
    }

    private static long Groups(Node n) => n.Attributes.Int("kv_heads", 1);

    /// <summary>Keys of one of the <paramref name="heads"/> in a tensor; gradients and scores of a few queries are small beside several of them.</summary>
    private static long Head(TensorShape keys, long heads) => keys[1].Value * (keys[2].Value / heads);
}
