using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>Finds the weights of a graph: initializers, also behind a transposition, that a product or a lookup reads.</summary>
internal sealed class WeightFinder
{
    private readonly Dictionary<string, TensorProto> _initializers;
    private readonly Dictionary<string, TensorProto> _transposed = [];

    public WeightFinder(GraphProto graph)
    {
        _initializers = graph.Initializer.ToDictionary(t => t.Name);
        foreach (var node in graph.Node.Where(n => n.OpType == "Transpose" && n.Domain.Length == 0))
            if (_initializers.TryGetValue(node.Input[0], out var tensor) && tensor.Dims.Count == 2 && Swaps(node)) _transposed[node.Output[0]] = tensor;
    }

    /// <summary>The node's use of a weight; null for every node that reads none.</summary>
    public WeightUse? Find(NodeProto node) => (node.Domain, node.OpType) switch
    {
        ("", "MatMul") => Product(node, storedTurned: true),
        ("", "Gemm") => Product(node, storedTurned: !node.Attribute.Any(a => a.Name == "transB" && a.I != 0)),
        ("", "Gather") when !node.Attribute.Any(a => a.Name == "axis" && a.I != 0) => Lookup(node),
        _ => null,
    };

    private WeightUse? Product(NodeProto node, bool storedTurned)
    {
        string operand = node.Input[1];
        if (_initializers.TryGetValue(operand, out var stored)) return new(node, stored, WeightRole.Product, storedTurned);
        return _transposed.TryGetValue(operand, out var behind) ? new(node, behind, WeightRole.Product, !storedTurned) : null;
    }

    /// <summary>Only float tables: a graph also looks up positions and shapes.</summary>
    private WeightUse? Lookup(NodeProto node) =>
        _initializers.TryGetValue(node.Input[0], out var table) && table.DataType == (int)TensorProto.Types.DataType.Float && table.Dims.Count == 2
            ? new(node, table, WeightRole.Lookup, Turned: false)
            : null;

    private static bool Swaps(NodeProto transpose) =>
        transpose.Attribute.FirstOrDefault(a => a.Name == "perm") is not { } permutation || permutation.Ints.SequenceEqual([1L, 0L]);
}
