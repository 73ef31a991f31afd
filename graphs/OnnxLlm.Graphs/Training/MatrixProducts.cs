using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>Writes the single-precision Gemm nodes of a finished graph as functions that have a kernel; nothing else changes.</summary>
internal static class MatrixProducts
{
    internal static Graph Fuse(Graph graph) => graph.With(node => IsFusible(node) ? Fused(node) : node);

    /// <summary>The functions know neither alpha nor beta, nor a bias that varies from row to row.</summary>
    private static bool IsFusible(Node n) =>
        n is { Op: "Gemm", Domain: "" } && n.Output.Type == ElementType.Float
        && n.Attributes.Float("alpha", 1) == 1 && n.Attributes.Float("beta", 1) == 1
        && (n.Inputs.Length == 2 || n[2].Rank == 1 && n[2].Shape[0] == n.Output.Shape[1]);

    private static Node Fused(Node n)
    {
        var function = n.Inputs.Length == 2 ? MatrixProduct.Plain : MatrixProduct.WithBias;
        var attributes = new Attributes([.. function.Attributes.Select(a => (a.Name, (AttributeValue)n.Attributes.Int(a.Name, 0)))]);
        return new Node(function.Name, Function.Domain, n.Scope, n.Inputs, attributes) { Outputs = n.Outputs, Function = function };
    }
}
