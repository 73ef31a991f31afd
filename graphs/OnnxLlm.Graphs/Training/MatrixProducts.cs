using System.Collections.Immutable;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Writes the single-precision Gemm nodes of a finished graph as functions that have a kernel, those of a weight's gradient together with its accumulation:
/// the gradient then is in memory once. Nothing else changes.
/// </summary>
internal static class MatrixProducts
{
    internal static Graph Fuse(Graph graph)
    {
        var uses = graph.Nodes.SelectMany(n => n.Inputs).Concat(graph.Outputs.Select(o => o.Value)).OfType<Value>().CountBy(v => v).ToDictionary();
        return graph.With(node => IsAccumulation(node) && uses[node[1]] == 1 ? Accumulated(node) : IsFusible(node) ? Fused(node) : node);
    }

    /// <summary>The functions know neither alpha nor beta, nor a bias that varies from row to row.</summary>
    private static bool IsFusible(Node n) =>
        n is { Op: "Gemm", Domain: "" } && n.Output.Type == ElementType.Float
        && n.Attributes.Float("alpha", 1) == 1 && n.Attributes.Float("beta", 1) == 1
        && (n.Inputs.Length == 2 || n[2].Rank == 1 && n[2].Shape[0] == n.Output.Shape[1]);

    private static bool IsAccumulation(Node n) => n.Function == Accumulate.Forward && n[1].Producer is { Inputs.Length: 2 } product && IsFusible(product);

    private static Node Fused(Node n) => Product(n, n.Inputs.Length == 2 ? MatrixProduct.Plain : MatrixProduct.WithBias, n, n.Inputs);

    private static Node Accumulated(Node n) =>
        n[1].Producer is { } product ? Product(n, MatrixProduct.Accumulated, product, [n[0], product[0], product[1], n[2]]) : n;

    private static Node Product(Node n, Function function, Node gemm, ImmutableArray<Value?> inputs)
    {
        var attributes = new Attributes([.. function.Attributes.Select(a => (a.Name, (AttributeValue)gemm.Attributes.Int(a.Name, 0)))]);
        return function.Replacing(n, inputs, n.Outputs, attributes);
    }
}
