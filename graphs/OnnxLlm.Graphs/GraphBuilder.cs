using System.Collections.Immutable;

namespace OnnxLlm.Graphs;

/// <summary>
/// Builds a graph: inputs and parameters come in, operators (<c>GraphBuilder.Ops.cs</c>) add nodes, <see cref="Build"/> keeps what the outputs need.
/// Every value has a type and a shape from the moment it is made.
/// </summary>
public sealed partial class GraphBuilder(string name = "graph")
{
    private readonly List<Node> _nodes = [];
    private readonly List<Value> _inputs = [];
    private readonly List<(string Name, Value Value)> _outputs = [];
    private readonly Dictionary<string, Value> _constants = [];
    private string _scope = "";
    private Attributes? _caller;

    public IReadOnlyList<Node> Nodes => _nodes;

    public IReadOnlyList<Value> Inputs => _inputs;

    /// <summary>The version of the standard operators that the graph is written in.</summary>
    public int Opset { get; init; } = Onnx.OnnxWriter.Opset;

    /// <summary>The function whose body this is, if any: constants are then cast like their operand, and attributes can be referred to.</summary>
    internal Function? Body { get; init; }

    public Value Input(string name, ElementType type, TensorShape shape) => Declare(name, type, shape, parameter: false);

    /// <summary>An input that may be left out.</summary>
    /// <param name="default">What it holds then; its own shape may be another that fits.</param>
    public Value Input(string name, TensorShape shape, TensorData @default) => Declare(name, @default.Type, shape, parameter: false, @default);

    /// <summary>A tensor that training changes. Its name is its path in the model and part of the file format.</summary>
    public Value Parameter(string name, TensorShape shape, ElementType type = ElementType.Float) => Declare(name, type, shape, parameter: true);

    public Value Constant(TensorData data)
    {
        string key = $"{data.Type}{data.Shape}{Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(data.Bytes.Span))}";
        return _constants.TryGetValue(key, out var value) ? value : _constants[key] = new Value(this, data.Type, data.Shape) { Data = data };
    }

    /// <summary>A scalar of the float type of <paramref name="like"/>.</summary>
    public Value Scalar(double value, Value like) => Body is null
        ? Constant(TensorData.Scalar(value, like.Type))
        : CastLike(Constant(TensorData.Scalar(value, ElementType.Double)), like);

    public Value Int64s(params ReadOnlySpan<long> values) => Constant(TensorData.Int64s(values));

    /// <summary>Inside a function's body: the caller's value of a float attribute, as a scalar of the type of <paramref name="like"/>.</summary>
    public Value FloatAttribute(string name, Value like) => _caller is not null ? Scalar(_caller.Float(name), like) :
        CastLike(Emit("Constant", [], ElementType.Float, [], ("value_float", AttributeValue.Reference(name, 0f))), like);

    /// <summary>Inside a function's body: the caller's value of an integer attribute, as an int64 tensor of shape [1].</summary>
    public Value IntAttribute(string name) => _caller is not null ? Int64s(_caller.Int(name)) :
        Reshape(Emit("Constant", [], ElementType.Int64, [], ("value_int", AttributeValue.Reference(name, 0))), [1]);

    public void Output(string name, Value value)
    {
        if (_outputs.Any(o => o.Name == name)) throw new GraphException($"Output '{name}' is declared twice.");
        _outputs.Add((name, value));
    }

    /// <summary>Names the module that the nodes made before disposal belong to.</summary>
    public IDisposable Scope(string name)
    {
        string outer = _scope;
        _scope = outer.Length == 0 ? name : $"{outer}/{name}";
        return new ScopeEnd(() => _scope = outer);
    }

    /// <summary>Until disposal a function's body may be written into this graph, as applied with these attributes.</summary>
    internal IDisposable Calling(Attributes caller)
    {
        var outer = _caller;
        _caller = caller;
        return new ScopeEnd(() => _caller = outer);
    }

    /// <summary>Adds a node with one output.</summary>
    public Value Emit(
        string op, ImmutableArray<Value?> inputs, ElementType type, TensorShape shape, params ImmutableArray<(string Name, AttributeValue Value)> attributes) =>
        Emit(op, inputs, [(type, shape)], new Attributes(attributes))[0];

    /// <summary>Adds a node of the runtime's extension set <c>com.microsoft</c>, with one output.</summary>
    public Value EmitMicrosoft(
        string op, ImmutableArray<Value?> inputs, ElementType type, TensorShape shape, params ImmutableArray<(string Name, AttributeValue Value)> attributes) =>
        Emit(op, inputs, [(type, shape)], new Attributes(attributes), "com.microsoft")[0];

    /// <summary>Adds a node. Every other way to add one ends here.</summary>
    public ImmutableArray<Value> Emit(
        string op,
        ImmutableArray<Value?> inputs,
        ImmutableArray<(ElementType Type, TensorShape Shape)> outputs,
        Attributes? attributes = null,
        string domain = "",
        Function? function = null)
    {
        if (inputs.FirstOrDefault(v => v is not null && v.Graph != this) is { } foreign)
            throw new GraphException($"'{op}' was given a value of another graph: {foreign}.");
        var node = new Node(op, domain, _scope, inputs, attributes ?? Attributes.None) { Function = function };
        node.Outputs = [.. outputs.Select(o => new Value(this, o.Type, o.Shape) { Producer = node })];
        _nodes.Add(node);
        return node.Outputs;
    }

    public Graph Build() => _outputs.Count > 0
        ? new Graph(name, _inputs, _outputs, _nodes) { Opset = Opset }
        : throw new GraphException($"Graph '{name}' has no outputs.");

    private Value Declare(string name, ElementType type, TensorShape shape, bool parameter, TensorData? @default = null)
    {
        if (_inputs.Any(v => v.Name == name)) throw new GraphException($"Input '{name}' is declared twice.");
        var value = new Value(this, type, shape) { Name = name, IsParameter = parameter, Default = @default };
        _inputs.Add(value);
        return value;
    }

    private sealed class ScopeEnd(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
