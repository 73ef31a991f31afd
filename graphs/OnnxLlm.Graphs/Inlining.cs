namespace OnnxLlm.Graphs;

/// <summary>
/// A graph without functions: every application of one is replaced by its definition, in standard operators. Constants that the definition casts to
/// the type of an operand become constants of that type.
/// </summary>
internal sealed class Inlining
{
    private readonly GraphBuilder _g;

    /// <summary>Type and shape of values that leave a function: the definition knows them by symbols only.</summary>
    private readonly Dictionary<Value, Value> _known = [];

    private Inlining(string name) => _g = new GraphBuilder(name);

    public static Graph Apply(Graph graph)
    {
        var copy = new Inlining(graph.Name);
        var values = graph.Inputs.ToDictionary(v => v, copy.Declare);
        copy.Copy(graph.Nodes, values, Attributes.None, "");
        foreach (var (name, value) in graph.Outputs) copy._g.Output(name, copy.Of(value, values));
        return copy._g.Build();
    }

    private Value Declare(Value input) =>
        input.IsParameter ? _g.Parameter(input.Name!, input.Shape, input.Type) : _g.Input(input.Name!, input.Type, input.Shape);

    private void Copy(IEnumerable<Node> nodes, Dictionary<Value, Value> values, Attributes caller, string scope)
    {
        foreach (var n in nodes)
        {
            var attributes = Resolve(n.Attributes, caller);
            string path = scope.Length == 0 ? n.Scope : scope;
            if (n.Function is { } function) Expand(n, function, values, attributes, path);
            else if (Folded(n, values, attributes) is { } folded) values[n.Output] = folded;
            else Emit(n, values, attributes, path);
        }
    }

    private void Expand(Node n, Function function, Dictionary<Value, Value> values, Attributes attributes, string scope)
    {
        var body = function.Define();
        var inner = body.Inputs.Zip(n.Inputs).ToDictionary(pair => pair.First, pair => Of(pair.Second!, values));
        foreach (var (output, known) in body.Outputs.Zip(n.Outputs)) _known[output.Value] = _known.GetValueOrDefault(known, known);
        Copy(body.Nodes, inner, attributes, scope.Length == 0 ? function.Name : $"{scope}/{function.Name}");
        foreach (var (output, result) in body.Outputs.Zip(n.Outputs)) values[result] = Of(output.Value, inner);
    }

    private void Emit(Node n, Dictionary<Value, Value> values, Attributes attributes, string scope)
    {
        using var _ = scope.Length == 0 ? null : _g.Scope(scope);
        var outputs = n.Outputs.Select(y => _known.GetValueOrDefault(y, y)).Select(y => (y.Type, y.Shape));
        var copies = _g.Emit(n.Op, [.. n.Inputs.Select(x => x is null ? null : Of(x, values))], [.. outputs], attributes, n.Domain);
        foreach (var (old, copy) in n.Outputs.Zip(copies)) values[old] = copy;
    }

    /// <summary>The value that a node which only carries a constant comes down to; null for every other node.</summary>
    private Value? Folded(Node n, Dictionary<Value, Value> values, Attributes attributes)
    {
        if (n.Op == "Constant") return attributes.Items is [(_, { Content: float or long } value)] ? _g.Constant(Scalar(value)) : null;
        if (n.Op != "CastLike") return null;
        var (source, target) = (Of(n[0], values), Of(n[1], values).Type);
        if (source.Type == target) return source;
        return source.Data is { Type: ElementType.Double, Shape.Rank: 0 } data ? _g.Constant(TensorData.Scalar(data.As<double>()[0], target)) : null;
    }

    private static TensorData Scalar(AttributeValue value) => value.Content is float f
        ? TensorData.Of(ElementType.Float, [], f)
        : TensorData.Of(ElementType.Int64, [], (long)value.Content);

    private static Attributes Resolve(Attributes attributes, Attributes caller) => new([.. attributes.Items.Select(a =>
        a.Value.Content is AttributeReference reference ? (a.Name, caller.Items.Single(c => c.Name == reference.Name).Value) : a)]);

    private Value Of(Value value, Dictionary<Value, Value> values) => value.Data is { } data ? _g.Constant(data) : values[value];
}
