namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Proves that inputs and outputs may share memory. ONNX has no order but data dependency, so a buffer may be overwritten only by its last reader:
/// every other node that reads it must be needed, directly or not, by the node that writes. A runtime that reorders or inlines then cannot go wrong.
/// </summary>
internal static class InPlace
{
    /// <summary>Throws <see cref="GraphException"/> that names each unsafe pair.</summary>
    public static void Require(Graph graph, IEnumerable<(string Input, string Output)> pairs)
    {
        string[] violations = [.. Violations(graph, pairs)];
        if (violations.Length > 0) throw new GraphException($"Graph '{graph.Name}' cannot work in place: {string.Join(" ", violations)}");
    }

    public static IEnumerable<string> Violations(Graph graph, IEnumerable<(string Input, string Output)> pairs)
    {
        var readers = graph.Nodes.SelectMany(n => n.Inputs.OfType<Value>().Distinct().Select(v => (v, n))).ToLookup(p => p.v, p => p.n);
        return pairs.SelectMany(pair => Violations(graph, pair.Input, pair.Output, readers));
    }

    private static IEnumerable<string> Violations(Graph graph, string input, string output, ILookup<Value, Node> readers)
    {
        var buffer = graph.Inputs.Single(v => v.Name == input);
        var result = graph.Outputs.Single(o => o.Name == output).Value;
        if (result.Producer is not { } writer) return [$"'{output}' is not computed."];

        Node[] others = [.. readers[buffer].Where(n => n != writer)];
        var needed = others.Length == 0 ? [] : Ancestors(writer);
        return others.Where(n => !needed.Contains(n)).Select(n => $"{n} may read '{input}' after {writer.Op} has written '{output}'.")
            .Concat(InsideFunction(writer, buffer, result));
    }

    /// <summary>The writer may be run as its body: the same must then hold inside.</summary>
    private static IEnumerable<string> InsideFunction(Node writer, Value buffer, Value result)
    {
        if (writer.Function is not { } function) return [];
        var ports = function.Inputs.Where((_, i) => writer.Inputs[i] == buffer);
        return Violations(function.Define(), ports.Select(port => (port.Name, function.Outputs[writer.Outputs.IndexOf(result)])));
    }

    private static HashSet<Node> Ancestors(Node node)
    {
        var seen = new HashSet<Node>();
        var pending = new Stack<Node>([node]);
        while (pending.TryPop(out var next))
            foreach (var input in next.Inputs)
                if (input?.Producer is { } producer && seen.Add(producer)) pending.Push(producer);
        return seen;
    }
}
