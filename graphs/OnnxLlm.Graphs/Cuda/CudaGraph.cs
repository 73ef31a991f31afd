using System.Collections.Frozen;

namespace OnnxLlm.Graphs.Cuda;

/// <summary>
/// A finished graph of known shapes, written for the CUDA provider of ONNX Runtime: no functions, for each of them the operators that this provider has
/// a kernel for and runs without a copy through the host. The result is plain ONNX, so the CPU can check it.
/// </summary>
internal sealed class CudaGraph
{
    /// <summary>The first with RMS normalisation, attention and rotation among the standard operators; from 22 on the provider lacks Dropout, which we never use.</summary>
    public const int Opset = 23;

    private readonly GraphBuilder _g;
    private readonly Dictionary<Value, Value> _values = [];

    /// <summary>GELU of each value that it was taken of: its gradient reads it again.</summary>
    private readonly Dictionary<Value, Value> _gelus = [];

    /// <summary>The updates by what they have in common: their learning rate.</summary>
    private readonly Dictionary<Value, CudaAdamW> _updates = [];

    private CudaGraph(string name) => _g = new GraphBuilder(name) { Opset = Opset };

    /// <summary>What takes the place of a function: its inputs in the new graph, and the node that applied it.</summary>
    internal delegate Value[] Alternative(GraphBuilder g, Node n, IReadOnlyList<Value> inputs);

    /// <summary>Functions whose definition the provider runs badly or not at all.</summary>
    private static readonly FrozenDictionary<string, Alternative> Alternatives = new Dictionary<string, Alternative>
    {
        ["LayerNorm"] = (g, n, x) => CudaParts.Norm(g, n, x, "LayerNormalization"),
        ["RmsNorm"] = (g, n, x) => CudaParts.Norm(g, n, x, "SimplifiedLayerNormalization"),    // the standard RMSNormalization gives no second output
        ["SwiGlu"] = (g, n, x) => [CudaElementwise.Silu(g, x[0]) * x[1]],
        ["SwiGluGrad"] = (g, n, x) => CudaElementwise.SwiGluGrad(g, x[0], x[1], x[2]),
        ["RotaryEmbedding"] = CudaParts.RotaryEmbedding,
        ["ScatterAddRows"] = (g, n, x) => [CudaParts.ScatterAddRows(g, x[0], x[1], x[2])],
        ["CausalAttention"] = CudaAttention.Forward,
        ["CausalAttentionGrad"] = CudaAttention.Backward,
    }.ToFrozenDictionary();

    public static Graph Of(Graph graph)
    {
        var copy = new CudaGraph(graph.Name);
        foreach (var input in graph.Inputs) copy._values[input] = copy.Declare(input);
        foreach (var n in graph.Nodes) copy.Add(n);
        foreach (var (name, value) in graph.Outputs) copy._g.Output(name, copy.Seen(value));
        return copy._g.Build();
    }

    private Value Declare(Value input) =>
        input.IsParameter ? _g.Parameter(input.Name!, input.Shape, input.Type) : _g.Input(input.Name!, input.Type, input.Shape);

    private void Add(Node n)
    {
        using var scope = n.Scope.Length == 0 ? null : _g.Scope(n.Scope);
        Value?[] inputs = [.. n.Inputs.Select(x => x is null ? null : Seen(x))];
        var outputs = n.Function is { } function ? Expand(n, function, inputs!)
            : n.Op == "ReduceMax" && n.Output.Rank == 0 ? [CudaParts.Max(_g, inputs[0]!)]
            : [.. _g.Emit(n.Op, [.. inputs], [.. n.Outputs.Select(y => (y.Type, y.Shape))], n.Attributes, n.Domain)];
        foreach (var (old, copy) in n.Outputs.Zip(outputs)) _values[old] = copy;
    }

    /// <summary>The definition is written anew for the very shapes and types of its operands.</summary>
    private Value[] Expand(Node n, Function function, Value[] inputs)
    {
        using var scope = _g.Scope(function.Name);
        using var call = _g.Calling(n.Attributes);
        return function.Name switch
        {
            "Gelu" => [_gelus[inputs[0]] = CudaElementwise.Gelu(_g, inputs[0])],
            "GeluGrad" => [CudaElementwise.GeluGrad(_g, inputs[0], inputs[1], _gelus.TryGetValue(inputs[1], out var y) ? y : CudaElementwise.Gelu(_g, inputs[1]))],
            "AdamW" => (_updates.TryGetValue(inputs[4], out var update) ? update : _updates[inputs[4]] = new(_g, inputs)).Update(inputs),
            var name => Alternatives.TryGetValue(name, out var alternative) ? alternative(_g, n, inputs) : function.Body(_g, inputs),
        };
    }

    private Value Seen(Value x) => x.Data is { } data ? _g.Constant(data) : _values[x];
}
