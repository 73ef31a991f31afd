using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Lets the gradient of an activation give the activation's value as well, in a finished graph, for the gradient of the weight behind it: the value, the widest tensor of a
/// block, then need not be kept from the forward pass. The gradient computes it on its way, so that this takes memory and no time.
/// </summary>
internal static class RegainedValues
{
    internal static Graph Fuse(Graph graph)
    {
        var values = graph.Nodes.Where(n => WithValue(n) is not null).DistinctBy(n => (n.Function, n[0])).ToDictionary(n => (WithValue(n), n[0]), n => n.Output);
        var wanted = graph.Nodes.Where(n => n.Function == MatrixProduct.Accumulated).SelectMany(n => n.Inputs).ToHashSet();
        var regained = new Dictionary<Value, Value>();
        return graph.With([.. graph.Nodes.Select(Gradient).Select(Reader)], []);

        Node Gradient(Node n)
        {
            if (GradientWithValue(n) is not { } function || !values.TryGetValue((function, n[1]), out var value) || !wanted.Contains(value)) return n;
            regained[value] = new Value(n.Graph, value.Type, value.Shape);
            return function.Replacing(n, n.Inputs, [.. n.Outputs, regained[value]], n.Attributes);
        }

        // Accumulations come behind all gradients.
        Node Reader(Node n) => n.Function == MatrixProduct.Accumulated && n.Inputs.Any(x => regained.ContainsKey(x!)) ? n.With([.. n.Inputs.Select(x => regained.GetValueOrDefault(x!, x!))]) : n;
    }

    private static Function? WithValue(Node n) => n.Function == Gelu.Forward ? Gelu.BackwardWithValue : n.Function == SwiGlu.Forward ? SwiGlu.BackwardWithValue : null;

    private static Function? GradientWithValue(Node n) => n.Function == Gelu.Backward ? Gelu.BackwardWithValue : n.Function == SwiGlu.Backward ? SwiGlu.BackwardWithValue : null;
}
