using System.Collections.Immutable;
using OnnxLlm.Graphs;

namespace OnnxLlm.Tools.Inspect;

/// <summary>One use of a function, run by its kernel and by its body.</summary>
/// <param name="Function">Name of the function.</param>
/// <param name="Form">What is special about this use.</param>
/// <param name="Shapes">Shapes of the random float inputs.</param>
/// <param name="LongestSum">Terms of the longest sum in the function: rounding grows with its root.</param>
/// <param name="Build">The outputs of the function, applied to these inputs.</param>
internal sealed record KernelCase(
    string Function, string Form, ImmutableArray<TensorShape> Shapes, long LongestSum, Func<GraphBuilder, Value[], ImmutableArray<Value>> Build)
{
    /// <summary>The inputs are uniform between these.</summary>
    public (double Low, double High) Range { get; init; } = (-2, 2);

    /// <summary>What the body is computed in for comparison. Single only where it uses an operator that the runtime has in no other precision.</summary>
    public ElementType Reference { get; init; } = ElementType.Double;

    public override string ToString() => $"{Function}, {Form}";
}
