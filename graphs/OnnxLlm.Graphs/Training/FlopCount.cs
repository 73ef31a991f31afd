namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Counts a model's arithmetic from its graph: two operations per multiply-add of every matrix product, and the half of attention's square
/// that a causal model uses. Training takes three times the forward pass, whatever is computed again to save memory (Chowdhery et al. 2022, MFU).
/// </summary>
public static class FlopCount
{
    /// <summary>Operations to train on one token, from a forward graph over <paramref name="tokens"/> of them.</summary>
    public static double PerToken(Graph forward, long tokens) => 3 * forward.Nodes.Sum(Forward) / tokens;

    private static double Forward(Node node) => node.Op switch
    {
        "Gemm" or "MatMul" or "MatrixProduct" or "BiasedProduct" => 2 * Elements(node.Output) * node[0].Shape[node[0].Rank - 1].Value,
        // Queries with keys, and weights with values: 2·T²/2 multiply-adds of the query's width each.
        "CausalAttention" or "Attention" => 2 * Elements(node[0]) * node[0].Shape[1].Value,
        _ => 0,
    };

    private static double Elements(Value value) => value.Shape.Aggregate(1.0, (n, d) => n * d.Value);
}
