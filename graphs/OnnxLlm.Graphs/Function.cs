using System.Collections.Immutable;

namespace OnnxLlm.Graphs;

/// <summary>An input or output of a function: its name, and the type and shape that its body is built for. Symbols stand for any extent.</summary>
public sealed record FunctionPort(string Name, ElementType Type, TensorShape Shape)
{
    public FunctionPort(string name, TensorShape shape)
        : this(name, ElementType.Float, shape)
    {
    }
}

/// <summary>Types and shapes of the outputs for the given inputs and attributes; throws <see cref="GraphException"/> when the inputs do not fit.</summary>
public delegate IEnumerable<(ElementType Type, TensorShape Shape)> OutputInference(IReadOnlyList<Value> inputs, Attributes attributes);

/// <summary>Writes the definition of a function in standard operators and returns its outputs.</summary>
public delegate Value[] FunctionBody(GraphBuilder g, IReadOnlyList<Value> inputs);

/// <summary>The gradient of each input of <paramref name="n"/>, given the gradient <paramref name="dy"/> of its first output; null where none flows.</summary>
public delegate Value?[] GradientRule(GraphBuilder g, Node n, Value dy);

/// <summary>
/// A fused operator of domain <c>onnxllm</c>. Its body, in standard operators, is stored in every model file that uses it, so that any runtime can run
/// the file by inlining; a registered kernel of the same name takes precedence. The body is the specification.
/// The body must not depend on concrete shapes (it is stored once per file) nor on the float type (constants are cast like their operand).
/// </summary>
public sealed class Function
{
    public const string Domain = "onnxllm";

    public required string Name { get; init; }

    public required ImmutableArray<FunctionPort> Inputs { get; init; }

    public required ImmutableArray<string> Outputs { get; init; }

    /// <summary>Attributes with their defaults.</summary>
    public ImmutableArray<(string Name, AttributeValue Default)> Attributes { get; init; } = [];

    public required OutputInference Infer { get; init; }

    public required FunctionBody Body { get; init; }

    /// <summary>Null for functions that are declared non-differentiable, such as gradients and optimizer updates.</summary>
    public GradientRule? Gradient { get; init; }

    /// <summary>Applies the function; attributes that are not given have their defaults.</summary>
    public ImmutableArray<Value> Call(GraphBuilder g, ReadOnlySpan<Value> inputs, params (string Name, AttributeValue Value)[] attributes)
    {
        if (inputs.Length != Inputs.Length)
            throw new GraphException($"Function '{Name}' takes {Inputs.Length} inputs ({string.Join(", ", Inputs.Select(p => p.Name))}), got {inputs.Length}.");
        if (attributes.FirstOrDefault(a => !Attributes.Any(d => d.Name == a.Name)) is { Name: { } unknown })
            throw new GraphException($"Function '{Name}' has no attribute '{unknown}'.");

        var all = new Attributes([.. Attributes.Select(d => attributes.FirstOrDefault(a => a.Name == d.Name, d))]);
        return g.Emit(Name, [.. inputs], [.. Infer([.. inputs], all)], all, Domain, this);
    }

    /// <summary>An application in the place of a node of a finished graph, with outputs that exist already.</summary>
    internal Node Replacing(Node place, ImmutableArray<Value?> inputs, ImmutableArray<Value> outputs, Attributes attributes) =>
        new(Name, Domain, place.Scope, inputs, attributes) { Outputs = outputs, Function = this };

    /// <summary>The body as a graph of its own, built for the declared input shapes.</summary>
    public Graph Define()
    {
        var g = new GraphBuilder(Name) { Body = this };
        var outputs = Body(g, [.. Inputs.Select(p => g.Input(p.Name, p.Type, p.Shape))]);
        foreach (var (name, value) in Outputs.Zip(outputs))
            g.Output(name, value);
        return g.Build();
    }
}
