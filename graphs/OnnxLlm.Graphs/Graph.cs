using System.Collections.Immutable;

namespace OnnxLlm.Graphs;

/// <summary>A finished graph: what its outputs need, in the order it was written.</summary>
public sealed class Graph
{
    internal Graph(string name, IReadOnlyList<Value> inputs, IReadOnlyList<(string Name, Value Value)> outputs, IReadOnlyList<Node> nodes)
    {
        var needed = Reachable(outputs.Select(o => o.Value));
        (Name, Inputs, Outputs) = (name, [.. inputs], [.. outputs]);
        Nodes = [.. nodes.Where(n => n.Outputs.Any(needed.Contains))];
    }

    public string Name { get; }

    /// <summary>The version of the standard operators.</summary>
    public int Opset { get; init; } = Onnx.OnnxWriter.Opset;

    /// <summary>Inputs and parameters, in the order they were declared.</summary>
    public ImmutableArray<Value> Inputs { get; }

    public ImmutableArray<(string Name, Value Value)> Outputs { get; }

    public ImmutableArray<Node> Nodes { get; }

    public IEnumerable<Value> Parameters => Inputs.Where(v => v.IsParameter);

    public long ParameterCount => Parameters.Sum(p => p.Shape.ElementCount);

    /// <summary>Every function that the graph applies, directly or inside another, by first use.</summary>
    public IEnumerable<Function> Functions =>
        Nodes.Select(n => n.Function).OfType<Function>().SelectMany(f => f.Define().Functions.Append(f)).Distinct();

    /// <summary>The same graph with other nodes for some of its own, each with the outputs of the one it replaces. The builder is not to be used afterwards.</summary>
    internal Graph With(Func<Node, Node> replace) => With(Nodes.Select(replace), []);

    /// <summary>The same inputs and outputs, and some more, of other nodes.</summary>
    internal Graph With(IEnumerable<Node> nodes, IEnumerable<(string Name, Value Value)> moreOutputs)
    {
        Node[] all = [.. nodes];
        foreach (var node in all)
            foreach (var output in node.Outputs)
                output.Producer = node;
        return new Graph(Name, Inputs, [.. Outputs, .. moreOutputs], all) { Opset = Opset };
    }

    /// <summary>Everything the values are computed from, and they themselves.</summary>
    internal static HashSet<Value> Reachable(IEnumerable<Value> outputs)
    {
        var seen = new HashSet<Value>();
        var pending = new Stack<Value>(outputs);
        while (pending.TryPop(out var value))
        {
            if (!seen.Add(value) || value.Producer is not { } node) continue;
            foreach (var input in node.Inputs)
                if (input is not null) pending.Push(input);
        }
        return seen;
    }
}
