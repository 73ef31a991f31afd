using System.Collections.Frozen;
using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Autodiff;

/// <summary>What the matrix products of a training step compute in. Weights, gradients and optimizer state are float32 in any case.</summary>
public enum Precision
{
    Fp32,

    /// <summary>IEEE half: 11 bits of precision, a narrow range; needs loss scaling.</summary>
    Fp16,

    /// <summary>bfloat16: 8 bits of precision, the range of float32.</summary>
    Bf16,
}

/// <summary>
/// Mixed precision as a pass over a finished graph, forward, backward and recomputation alike (Micikevicius et al., 2017). Matrix products compute in 16 bits
/// from operands cast once each; what only moves elements stays in 16 bits; everything else, above all norms, softmax, loss, sums and updates, stays float32.
/// </summary>
public sealed class MixedPrecision
{
    private static readonly FrozenSet<string> Products = ["Gemm", "MatrixProduct", "BiasedProduct"];

    /// <summary>Functions that lose nothing by 16 bits: their kernels add up in float32, or they only look at one element at a time.</summary>
    private static readonly FrozenSet<string> Activations =
        ["CausalAttention", "CausalAttentionGrad", "Gelu", "GeluGrad", "SwiGlu", "SwiGluGrad", "RotaryEmbedding"];

    private static readonly FrozenSet<string> Movements = ["Reshape", "Flatten", "Transpose", "Split", "Slice", "Unsqueeze", "Identity"];

    private readonly GraphBuilder _graph;
    private readonly ElementType _type;
    private readonly bool _rounded, _activations;
    private readonly Dictionary<Value, Value> _values = [];
    private readonly Dictionary<(Value, ElementType), Value> _casts = [];

    private MixedPrecision(string name, ElementType type, bool rounded, bool activations) =>
        (_graph, _type, _rounded, _activations) = (new GraphBuilder(name), type, rounded, activations);

    /// <summary>The graph in another precision; inputs and outputs keep their types.</summary>
    /// <param name="rounded">
    /// Products compute in float32 from operands rounded to 16 bits and round their results: the numbers of 16-bit hardware that accumulates
    /// in float32, for a runtime without 16-bit products.
    /// </param>
    /// <param name="activations">Attention, rotations and the functions between the products take and give 16 bits too, where memory is what they wait for.</param>
    public static Graph Apply(Graph graph, Precision precision, bool rounded = false, bool activations = false)
    {
        if (precision == Precision.Fp32) return graph;
        var pass = new MixedPrecision(graph.Name, TypeOf(precision), rounded, activations);
        foreach (var input in graph.Inputs)
            pass._values[input] = input.IsParameter ? pass._graph.Parameter(input.Name!, input.Shape, input.Type) : pass._graph.Input(input.Name!, input.Type, input.Shape);
        foreach (var n in graph.Nodes) pass.Copy(n);
        foreach (var (name, value) in graph.Outputs) pass._graph.Output(name, pass.As(value, value.Type));
        return pass._graph.Build();
    }

    public static ElementType TypeOf(Precision precision) => precision switch
    {
        Precision.Fp16 => ElementType.Float16,
        Precision.Bf16 => ElementType.BFloat16,
        _ => ElementType.Float,
    };

    /// <summary>How often a graph applies each operator whose float operands stay float32, the most frequent first.</summary>
    public static ImmutableArray<(string Op, int Count)> Kept(Graph graph) =>
    [
        .. graph.Nodes.Where(n => !Products.Contains(n.Op) && !Movements.Contains(n.Op) && n.Op != "Cast" && n.Inputs.Any(x => x is { Type: ElementType.Float, Data: null }))
            .CountBy(n => n.Op).Select(p => (p.Key, p.Value)).OrderByDescending(p => p.Value).ThenBy(p => p.Key, StringComparer.Ordinal),
    ];

    /// <summary>How many products of a graph this pass puts into 16 bits.</summary>
    public static int ProductCount(Graph graph) => graph.Nodes.Count(n => Products.Contains(n.Op));

    private static bool IsProduct(Node n) => Products.Contains(n.Op) && n.Output.Type == ElementType.Float;

    private void Copy(Node n)
    {
        using var scope = _graph.Scope(n.Scope);
        if (IsProduct(n) || (_activations && (Activations.Contains(n.Op) || IsSumOfRows(n)))) Product(n);
        else if (Movements.Contains(n.Op) && Seen(n[0]).Type == _type) Emit(n, x => x.Type == ElementType.Float ? _type : x.Type, _type);
        else Emit(n, x => x.Type, ElementType.Float);
    }

    /// <summary>A bias' gradient, as a product with ones, of what is in 16 bits already.</summary>
    private bool IsSumOfRows(Node n) => n is { Op: "MatMul", Domain: "" } && n[0].Producer?.Op == "Expand" && IsNarrow(Seen(n[1]));

    private bool IsNarrow(Value x) => x.Type == _type || (_rounded && x.Producer is { Op: "Cast" } cast && cast[0].Type == _type);

    private void Product(Node n)
    {
        if (!_rounded)
        {
            Emit(n, x => x.Type == ElementType.Float ? _type : x.Type, _type);
            return;
        }
        var outputs = _graph.Emit(
            n.Op, [.. n.Inputs.Select(x => x is null ? null : Rounded(Seen(x)))], [.. n.Outputs.Select(y => (y.Type, y.Shape))], n.Attributes, n.Domain, n.Function);
        foreach (var (y, copy) in n.Outputs.Zip(outputs)) _values[y] = Rounded(copy);
    }

    private Value Rounded(Value x) => Cast(Cast(x, _type), ElementType.Float);

    /// <summary>Adds the node with each input in the type that is asked for, and its float outputs in <paramref name="floats"/>.</summary>
    private void Emit(Node n, Func<Value, ElementType> wanted, ElementType floats)
    {
        var outputs = _graph.Emit(
            n.Op, [.. n.Inputs.Select(x => x is null ? null : As(x, wanted(x)))],
            [.. n.Outputs.Select(y => (y.Type == ElementType.Float ? floats : y.Type, y.Shape))], n.Attributes, n.Domain, n.Function);
        foreach (var (y, copy) in n.Outputs.Zip(outputs)) _values[y] = copy;
    }

    private Value As(Value x, ElementType type) => Cast(Seen(x), type);

    private Value Seen(Value x) => x.Data is { } data ? _graph.Constant(data) : _values[x];

    /// <summary>One cast per value and type: what several products read is cast once.</summary>
    private Value Cast(Value x, ElementType type) => x.Type == type ? x
        : _casts.TryGetValue((x, type), out var known) ? known
        : _casts[(x, type)] = _graph.Cast(x, type);
}
