using System.Collections.Frozen;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Runtime.Memory;

/// <summary>
/// What a session's arena grows to when it runs a graph: every value lives from the node that makes it to the last that reads it, in execution order.
/// Values that the caller binds (inputs and outputs of the graph) are not in the arena; some outputs lie where an input lay.
/// </summary>
internal sealed class Activations
{
    /// <summary>Operators that only see their input in another shape.</summary>
    private static readonly FrozenSet<string> Views = ["Reshape", "Flatten", "Unsqueeze", "Squeeze", "Identity"];

    /// <summary>Operators whose output may overwrite an input of its size.</summary>
    private static readonly FrozenSet<string> Overwriting = ["Add", "Sub", "Mul", "Div", "Sum", "Neg", "Sqrt", "Reciprocal", "Sigmoid", "Tanh", "Erf", "Exp", "Relu", "Min"];

    private readonly Arena _arena = new();
    private readonly Dictionary<Value, Storage> _storage = [];
    private readonly Dictionary<Value, int> _readers;
    private readonly HashSet<Value> _bound;

    private Activations(Graph graph)
    {
        _readers = graph.Nodes.SelectMany(n => n.Inputs).OfType<Value>().CountBy(v => v).ToDictionary();
        _bound = [.. graph.Outputs.Select(o => o.Value)];
    }

    /// <summary>Memory shared by the values that lie in it; free when none of them is read any more.</summary>
    private sealed class Storage(Arena.Chunk? chunk)
    {
        public Arena.Chunk? Chunk { get; } = chunk;

        public int Holders { get; set; }
    }

    public static long Peak(Graph graph)
    {
        var activations = new Activations(graph);
        foreach (var n in ExecutionOrder.Of(graph)) activations.Execute(n);
        return activations._arena.Touched;
    }

    private void Execute(Node n)
    {
        if (n.Inputs.All(x => x is { Data: not null }))
        {
            // Computed when the graph is loaded, and kept.
            foreach (var y in n.Outputs) _arena.Allocate(Bytes(y));
            return;
        }
        foreach (var (y, i) in n.Outputs.Select((y, i) => (y, i)))
        {
            var storage = Inherited(n, i) ?? new Storage(_bound.Contains(y) ? null : _arena.Allocate(Bytes(y)));
            storage.Holders++;
            _storage[y] = storage;
        }
        foreach (var x in n.Inputs.OfType<Value>())
            if (--_readers[x] == 0) Release(x);
        foreach (var y in n.Outputs)
            if (!_readers.ContainsKey(y)) Release(y);
    }

    /// <summary>The storage that an output takes over from an input, if it does.</summary>
    private Storage? Inherited(Node n, int output)
    {
        if (Views.Contains(n.Op)) return _storage.GetValueOrDefault(n[0]) ?? new Storage(null);
        foreach (int input in MayOverwrite(n, output))
            if (n.Inputs[input] is { } x && IsLastUse(x) && Bytes(x) == Bytes(n.Outputs[output])) return _storage[x];
        return null;
    }

    private bool IsLastUse(Value x) => _readers[x] == 1 && _storage.TryGetValue(x, out var storage) && storage is { Chunk: not null, Holders: 1 };

    private static IEnumerable<int> MayOverwrite(Node n, int output)
    {
        if (n.Function is { } function) return KernelList.Overwritten(function.Name, output) is { } input ? [input] : [];
        return output == 0 && Overwriting.Contains(n.Op) ? Enumerable.Range(0, Math.Min(2, n.Inputs.Length)) : [];
    }

    private void Release(Value v)
    {
        if (!_storage.Remove(v, out var storage)) return;
        if (--storage.Holders == 0 && storage.Chunk is { } chunk) _arena.Free(chunk);
    }

    private static long Bytes(Value v) => v.Shape.ElementCount * v.Type.Size();
}
