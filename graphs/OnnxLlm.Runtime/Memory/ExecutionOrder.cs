using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Memory;

/// <summary>
/// The order in which a sequential session executes a graph: depth first from the nodes that nothing reads, the last one first, and from every node
/// into its inputs, the last made first. So a gradient is computed when the buffer that takes it is reached, not when its rule wrote it.
/// </summary>
internal static class ExecutionOrder
{
    public static IReadOnlyList<Node> Of(Graph graph)
    {
        var index = graph.Nodes.Select((n, i) => (n, i)).ToDictionary(p => p.n, p => p.i);
        var read = graph.Nodes.SelectMany(Sources).ToHashSet();
        var (order, visited) = (new List<Node>(), new HashSet<Node>());
        var stack = new Stack<(Node Node, bool Leave)>(graph.Nodes.Where(n => !read.Contains(n)).Select(n => (n, false)));
        while (stack.TryPop(out var entry))
        {
            if (entry.Leave) order.Add(entry.Node);
            else if (visited.Add(entry.Node))
            {
                stack.Push((entry.Node, true));
                foreach (var source in Sources(entry.Node).OrderBy(n => index[n])) stack.Push((source, false));
            }
        }
        return order;
    }

    private static IEnumerable<Node> Sources(Node n) => n.Inputs.Select(x => x?.Producer).OfType<Node>();
}
