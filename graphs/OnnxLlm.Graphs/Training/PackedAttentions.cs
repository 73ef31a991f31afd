using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Writes attention over the parts of one projection, in a finished graph, as attention over that projection: what splits it, and what joins the gradients
/// of the parts, is not needed any more.
/// </summary>
internal static class PackedAttentions
{
    internal static Graph Fuse(Graph graph)
    {
        var readers = graph.Nodes.SelectMany(n => n.Inputs.OfType<Value>().Distinct().Select(v => (v, n))).ToLookup(p => p.v, p => p.n);
        var nodes = new List<Node>();
        var packed = new Dictionary<Value, Value>();    // projections [B*T, ..] as [B, T, ..]
        var joined = new Dictionary<Node, Value>();     // what joins gradients, and the gradient that it is not needed for
        foreach (var n in graph.Nodes)
        {
            if (n.Function == CausalAttention.Forward && Projection(n, 0) is { } qkv)
                nodes.Add(PackedAttention.Forward.Replacing(n, [Packed(qkv, n[0].Shape)], n.Outputs, n.Attributes));
            else if (n.Function == CausalAttention.Backward && Projection(n, 1) is { } same && Join(n) is { } join)
            {
                var gradient = Packed(same, n[1].Shape);
                joined[join] = new Value(join.Graph, gradient.Type, gradient.Shape);
                nodes.Add(PackedAttention.Backward.Replacing(n, [n[0], gradient, n[4], n[5]], [joined[join]], n.Attributes));
            }
            else
                nodes.Add(joined.TryGetValue(n, out var whole) ? Reshaped(whole, n) : n);
        }
        return graph.With(nodes, []);

        Value Packed(Value qkv, TensorShape part)
        {
            if (packed.TryGetValue(qkv, out var known)) return known;
            var value = qkv.Graph.Reshape(qkv, [part[0], part[1], qkv.Shape[1]]);
            nodes.Add(value.Producer!);
            return packed[qkv] = value;
        }

        // The node that joins the gradients of the three parts, each of which nothing else reads.
        Node? Join(Node attention)
        {
            Value?[] parts = [.. attention.Outputs.Select(y => Only(y) is { Op: "Reshape" } n ? n.Output : null)];
            return parts[0] is { } first && Only(first) is { Op: "Concat" } n && n.Inputs.SequenceEqual(parts) && Axis(n) == 1 ? n : null;
        }

        Node? Only(Value value) => readers[value].ToArray() is [var reader] && graph.Outputs.All(o => o.Value != value) ? reader : null;
    }

    /// <summary>The projection [B*T, (H+2G)*K] whose parts are an attention's queries, keys and values, if there is one.</summary>
    private static Value? Projection(Node attention, int first)
    {
        Value?[] parts = [.. Enumerable.Range(first, 3).Select(i => attention[i].Producer is { Op: "Reshape" } n ? n[0] : null)];
        return parts[0]?.Producer is { Op: "Split" } split && split[0].Rank == 2 && Axis(split) == 1 && parts.SequenceEqual(split.Outputs) ? split[0] : null;
    }

    private static int Axis(Node n) => n.Output.Shape.Axis((int)n.Attributes.Int("axis", 0));

    /// <summary>The same values in the place and shape of what a node gave.</summary>
    private static Node Reshaped(Value value, Node n) =>
        new("Reshape", "", n.Scope, [value, n.Graph.Int64s(n.Output.Shape.ToArray())], Attributes.None) { Outputs = n.Outputs };
}
