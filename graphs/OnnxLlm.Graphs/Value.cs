namespace OnnxLlm.Graphs;

/// <summary>
/// One tensor of a graph under construction: its element type, its shape, and what makes it. Operators on values add nodes to the graph.
/// A value made by a node has no name of its own: names are given when the graph is saved.
/// </summary>
public sealed class Value
{
    internal Value(GraphBuilder graph, ElementType type, TensorShape shape) => (Graph, Type, Shape) = (graph, type, shape);

    public GraphBuilder Graph { get; }

    public ElementType Type { get; }

    public TensorShape Shape { get; }

    public int Rank => Shape.Rank;

    /// <summary>The node that computes this value; null for inputs, parameters and constants.</summary>
    public Node? Producer { get; internal set; }

    /// <summary>Name of an input or parameter; null for everything else.</summary>
    public string? Name { get; internal init; }

    /// <summary>Contents of a constant; null for everything else.</summary>
    public TensorData? Data { get; internal init; }

    /// <summary>What an input holds where nothing is given; null where something must be.</summary>
    public TensorData? Default { get; internal init; }

    /// <summary>True for a tensor that training changes.</summary>
    public bool IsParameter { get; internal init; }

    public static Value operator +(Value a, Value b) => a.Graph.Add(a, b);

    public static Value operator -(Value a, Value b) => a.Graph.Sub(a, b);

    public static Value operator *(Value a, Value b) => a.Graph.Mul(a, b);

    public static Value operator /(Value a, Value b) => a.Graph.Div(a, b);

    public static Value operator -(Value a) => a.Graph.Neg(a);

    public static Value operator +(Value a, double b) => a + a.Graph.Scalar(b, a);

    public static Value operator -(Value a, double b) => a - a.Graph.Scalar(b, a);

    public static Value operator -(double a, Value b) => b.Graph.Scalar(a, b) - b;

    public static Value operator *(Value a, double b) => a * a.Graph.Scalar(b, a);

    public static Value operator /(Value a, double b) => a / a.Graph.Scalar(b, a);

    public override string ToString() => $"{Name ?? Producer?.Op ?? "constant"}: {Type}{Shape}";
}
