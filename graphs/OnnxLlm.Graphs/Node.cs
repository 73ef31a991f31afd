using System.Collections.Immutable;

namespace OnnxLlm.Graphs;

/// <summary>One application of an operator or function.</summary>
public sealed class Node
{
    internal Node(string op, string domain, string scope, ImmutableArray<Value?> inputs, Attributes attributes) =>
        (Op, Domain, Scope, Inputs, Attributes) = (op, domain, scope, inputs, attributes);

    public string Op { get; }

    /// <summary>Operator set: empty for standard ONNX, <c>com.microsoft</c> for the runtime's extensions, <c>onnxllm</c> for our functions.</summary>
    public string Domain { get; }

    /// <summary>Path of the module that the node belongs to, such as <c>model.layers.0/self_attn</c>.</summary>
    public string Scope { get; }

    /// <summary>Null where an optional input is absent.</summary>
    public ImmutableArray<Value?> Inputs { get; }

    public ImmutableArray<Value> Outputs { get; internal set; } = [];

    public Attributes Attributes { get; }

    /// <summary>The definition, when the node applies one of our functions.</summary>
    public Function? Function { get; internal init; }

    /// <summary>The same application with the same outputs, seen as reading other inputs; it is in no graph.</summary>
    internal Node With(ImmutableArray<Value?> inputs) => new(Op, Domain, Scope, inputs, Attributes) { Outputs = Outputs, Function = Function };

    public GraphBuilder Graph => Outputs[0].Graph;

    public Value Output => Outputs[0];

    /// <summary>Input <paramref name="i"/>, which must be present.</summary>
    public Value this[int i] => Inputs[i] ?? throw new GraphException($"Input {i} of {this} is absent.");

    public override string ToString()
    {
        string name = Domain.Length == 0 ? Op : $"{Domain}.{Op}";
        string inputs = string.Join(", ", Inputs.Select(v => v is null ? "-" : $"{v.Type}{v.Shape}"));
        return Scope.Length == 0 ? $"{name}({inputs})" : $"{name}({inputs}) in {Scope}";
    }
}
