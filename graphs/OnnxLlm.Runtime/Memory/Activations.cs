using System.Collections.Frozen;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Runtime.Memory;

/// <summary>
/// What a session's arena grows to when it runs a graph: every value lives from the node that makes it to the last that reads it, in execution order.
/// Values that the caller binds (inputs and outputs of the graph) are not in the arena; some outputs lie where an input lay.
/// <para>When it loads the graph the runtime also gives the memory of values that are no longer read to later ones of the very same shape. Such memory stays
/// taken in between, so what is made there of another shape lies elsewhere.</para>
/// </summary>
internal sealed class Activations
{
    /// <summary>Operators that only see their input in another shape.</summary>
    private static readonly FrozenSet<string> Views = ["Reshape", "Flatten", "Unsqueeze", "Squeeze", "Identity"];

    /// <summary>Operators of the runtime whose output overwrites their input, as measured; sums and products of tensors do not.</summary>
    private static readonly FrozenSet<string> Overwriting = ["Sigmoid", "Tanh", "Relu"];

    private readonly Dictionary<Value, Storage> _storage = [];
    private readonly Dictionary<Value, int> _readers;
    private readonly HashSet<Value> _bound;
    private readonly LinkedList<Storage> _free = [];

    private Activations(Graph graph)
    {
        _readers = graph.Nodes.SelectMany(n => n.Inputs).OfType<Value>().CountBy(v => v).ToDictionary();
        _bound = [.. graph.Outputs.Select(o => o.Value)];
    }

    /// <summary>Memory of one value after the other.</summary>
    /// <param name="first">The value that it is taken for; null where it is not the arena's.</param>
    private sealed class Storage(Value? first)
    {
        public Value? First { get; } = first;

        /// <summary>Values that lie in it and are still to be read.</summary>
        public int Holders { get; set; }

        /// <summary>The node after which nothing in it is read any more.</summary>
        public Node? End { get; set; }
    }

    public static long Peak(Graph graph)
    {
        var (activations, order) = (new Activations(graph), ExecutionOrder.Of(graph));
        foreach (var n in order.Where(n => !IsConstant(n))) activations.Plan(n);
        return activations.Run(order);
    }

    /// <summary>Computed when the graph is loaded, and kept.</summary>
    private static bool IsConstant(Node n) => n.Inputs.All(x => x is { Data: not null });

    private long Run(IReadOnlyList<Node> order)
    {
        var arena = new Arena();
        foreach (var y in order.Where(IsConstant).SelectMany(n => n.Outputs)) arena.Allocate(Bytes(y));
        var ends = _storage.Values.Distinct().Where(s => s is { First: not null, End: not null }).ToLookup(s => s.End!);
        var chunks = new Dictionary<Storage, Arena.Chunk>();
        foreach (var n in order.Where(n => !IsConstant(n)))
        {
            foreach (var y in n.Outputs.Where(y => ReferenceEquals(_storage[y].First, y))) chunks[_storage[y]] = arena.Allocate(Bytes(y));
            foreach (var storage in ends[n]) arena.Free(chunks[storage]);
        }
        return arena.Touched;
    }

    private void Plan(Node n)
    {
        for (int i = 0; i < n.Outputs.Length; i++)
        {
            var y = n.Outputs[i];
            var storage = Inherited(n, i) ?? (_bound.Contains(y) ? new Storage(null) : Unused(y) ?? new Storage(y));
            storage.Holders++;
            _storage[y] = storage;
        }
        foreach (var x in n.Inputs.OfType<Value>())
            if (--_readers[x] == 0) Release(x, n);
        foreach (var y in n.Outputs)
            if (!_readers.ContainsKey(y)) Release(y, n);
    }

    /// <summary>The storage that an output takes over from an input, if it does.</summary>
    private Storage? Inherited(Node n, int output)
    {
        if (Views.Contains(n.Op)) return _storage.GetValueOrDefault(n[0]) ?? new Storage(null);
        foreach (int input in MayOverwrite(n, output))
            if (n.Inputs[input] is { } x && IsLastUse(x) && Bytes(x) == Bytes(n.Outputs[output])) return _storage[x];
        return null;
    }

    /// <summary>The storage that became free last of those which were taken for a value of this shape.</summary>
    private Storage? Unused(Value y)
    {
        var found = _free.FirstOrDefault(storage => storage.First!.Shape.Equals(y.Shape) && storage.First.Type.Size() == y.Type.Size());
        if (found is not null) _free.Remove(found);
        return found;
    }

    private bool IsLastUse(Value x) => _readers[x] == 1 && _storage.TryGetValue(x, out var storage) && storage is { First: not null, Holders: 1 };

    private static IEnumerable<int> MayOverwrite(Node n, int output)
    {
        if (n.Function is { } function) return KernelList.Overwritten(function.Name, output) is { } input ? [input] : [];
        return Overwriting.Contains(n.Op) ? [0] : [];
    }

    private void Release(Value v, Node n)
    {
        if (!_storage.TryGetValue(v, out var storage) || --storage.Holders > 0) return;
        storage.End = n;
        if (storage.First is not null) _free.AddFirst(storage);
    }

    private static long Bytes(Value v) => v.Shape.ElementCount * v.Type.Size();
}
