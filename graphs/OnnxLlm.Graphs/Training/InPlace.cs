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
        var outputs = graph.Outputs.ToDictionary(o => o.Name, o => o.Value);
        return pairs.GroupBy(pair => pair.Input).SelectMany(pairs => pairs.SelectMany(pair =>
            Violations([graph.Inputs.Single(v => v.Name == pair.Input), .. pairs.Select(p => outputs[p.Output]).Where(v => v != outputs[pair.Output])], pair, outputs, readers)));
    }

    /// <param name="others">The input and what else lies in its memory: what a later writer leaves there is of no concern to an earlier one.</param>
    private static IEnumerable<string> Violations(
        IEnumerable<Value> others, (string Input, string Output) pair, Dictionary<string, Value> outputs, ILookup<Value, Node> readers)
    {
        if (outputs[pair.Output].Producer is not { } writer) return [$"'{pair.Output}' is not computed."];
        var needed = Ancestors(writer);
        Value[] before = [.. others.Where(v => v.Producer is not { } later || !Ancestors(later).Contains(writer))];
        return before.SelectMany(v => readers[v]).Where(n => n != writer && !needed.Contains(n))
            .Select(n => $"{n} may read '{pair.Input}' after {writer.Op} has written '{pair.Output}'.")
            .Concat(before.SelectMany(v => InsideFunction(writer, v, outputs[pair.Output])));
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
