namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Counts a model's arithmetic from its graph: two operations per multiply-add of every matrix product, and the half of attention's square
/// that a causal model uses, the whole of it in an encoder. Training takes three times the forward pass, whatever is computed again to save memory (Chowdhery et al. 2022, MFU).
/// </summary>
public static class FlopCount
{
    /// <summary>Operations to train on one token, from a forward graph over <paramref name="tokens"/> of them.</summary>
    public static double PerToken(Graph forward, long tokens) => 3 * forward.Nodes.Sum(node => Forward(node, Known, T => T / 2.0 * T)) / tokens;

    /// <summary>Operations of a generation graph that reads new tokens of one sequence and gives the scores after the last of them.</summary>
    /// <param name="generation">The graph before quantization, which leaves the number of multiply-adds as it is.</param>
    /// <param name="tokens">New tokens.</param>
    /// <param name="past">Tokens that were read before; every new one looks at these, at those before it and at itself.</param>
    public static double Generating(Graph generation, long tokens, long past) => generation.Nodes.Sum(node =>
        Forward(node, d => d.IsKnown ? d.Value : d.Symbol == "sequence" ? tokens : 1, _ => tokens * (past + (tokens + 1) / 2.0)));

    private static double Forward(Node node, Func<Dimension, long> extent, Func<long, double> pairs) => node.Op switch
    {
        "Gemm" or "MatMul" or "MatrixProduct" or "BiasedProduct" => 2 * Elements(node.Output, extent) * extent(node[0].Shape[node[0].Rank - 1]),
        "LinearTokenLoss" => 2 * Elements(node[1], extent) * extent(node[0].Shape[0]),
        // Queries with keys, and weights with values: two multiply-adds of each element of the output for every pair of tokens.
        "MaskedAttention" => 4 * Elements(node.Output, extent) * extent(node.Output.Shape[1]),
        "BiasedAttention" => 4 * Elements(node.Output, extent) * extent(node[1].Shape[1]),
        "CausalAttention" or "PackedAttention" or "CachedAttention" or "RotaryCachedAttention" or "Attention" =>
            4 * Elements(node.Output, extent) / extent(node.Output.Shape[1]) * pairs(extent(node.Output.Shape[1])),
        _ => 0,
    };

    private static long Known(Dimension dimension) => dimension.Value;

    private static double Elements(Value value, Func<Dimension, long> extent) => value.Shape.Aggregate(1.0, (n, d) => n * extent(d));
}
