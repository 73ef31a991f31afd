using System.Collections.Immutable;
using OnnxLlm.Graphs;

namespace OnnxLlm.Tools.Inspect;

/// <summary>One use of a differentiable operator or function, small enough to differentiate numerically.</summary>
/// <param name="Op">The operator or function whose rule this tests.</param>
/// <param name="Form">What is special about this use.</param>
/// <param name="Shapes">Shapes of the inputs that are varied; symbols stand for <see cref="FiniteDifference.Extent"/>.</param>
/// <param name="Build">The operator applied to these inputs.</param>
internal sealed record GradientCase(string Op, string Form, ImmutableArray<TensorShape> Shapes, Func<GraphBuilder, Value[], Value> Build)
{
    /// <summary>Single precision only where the runtime has no double kernel.</summary>
    public ElementType Type { get; init; } = ElementType.Double;

    /// <summary>The inputs are uniform between these.</summary>
    public (double Low, double High) Range { get; init; } = (-1.5, 1.5);

    public override string ToString() => $"{Op}, {Form}";
}

/// <summary>How far a rule was from the numerical derivative, and how far arithmetic allows it to be.</summary>
internal sealed record Measurement(string Subject, string Form, ElementType Type, double Error, double Tolerance)
{
    /// <summary>False also for NaN.</summary>
    public bool Passed => Error <= Tolerance;
}
