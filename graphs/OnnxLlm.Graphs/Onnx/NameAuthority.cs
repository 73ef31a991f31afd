using System.Globalization;

namespace OnnxLlm.Graphs.Onnx;

/// <summary>
/// The one place where nodes and values get names when a graph is written: inputs and outputs keep theirs, nodes are named by module and operator in
/// the order they were made. Nothing else influences a name, so the same graph gets the same names.
/// </summary>
internal sealed class NameAuthority
{
    private readonly Dictionary<Node, string> _nodes = [];
    private readonly Dictionary<Value, string> _values = [];
    private readonly HashSet<string> _taken = [];

    public NameAuthority(Graph graph)
    {
        foreach (var input in graph.Inputs) Take(input, input.Name!);
        foreach (var (name, value) in graph.Outputs)
        {
            // A value with two names, or an input that is also an output, is copied by an Identity node.
            if (!_taken.Add(name)) throw new GraphException($"'{name}' is the name of an input and of an output.");
            if (value.Producer is not null) _values.TryAdd(value, name);
        }
        foreach (var node in graph.Nodes) Name(node);
        int constants = 0;
        foreach (var value in graph.Nodes.SelectMany(n => n.Inputs).OfType<Value>().Concat(graph.Outputs.Select(o => o.Value)))
            if (value.Data is not null && !_values.ContainsKey(value)) Take(value, Free($"constant_{(constants++).ToString(CultureInfo.InvariantCulture)}"));
    }

    public string Of(Node node) => _nodes[node];

    public string Of(Value value) => _values[value];

    private void Name(Node node)
    {
        string name = _nodes[node] = Free(node.Scope.Length == 0 ? node.Op : $"{node.Scope}/{node.Op}");
        for (int i = 0; i < node.Outputs.Length; i++)
            if (!_values.ContainsKey(node.Outputs[i])) _values[node.Outputs[i]] = Free($"{name}.{i.ToString(CultureInfo.InvariantCulture)}");
    }

    private void Take(Value value, string name)
    {
        _taken.Add(name);
        _values[value] = name;
    }

    private string Free(string stem)
    {
        string name = stem;
        for (int i = 1; !_taken.Add(name); i++) name = $"{stem}_{i.ToString(CultureInfo.InvariantCulture)}";
        return name;
    }
}
