using System.Collections.Immutable;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Which instructions a kernel uses: the widest of the machine, unless a test asks for less.</summary>
internal enum VectorWidth
{
    Scalar,
    Portable,
    Bits512,
}

/// <summary>Input whose memory an output may take over when nothing else reads the input afterwards.</summary>
internal enum Reuse
{
    None,
    FirstForFirst,
    FirstForSecond,
    FirstForThird,
    SecondAndThirdForFirstAndSecond,
    ParameterAndMoments,
    ParameterAndScaledMoments,
}

/// <summary>
/// The C# implementation of a function of domain <c>onnxllm</c>: what ONNX Runtime must know of it, and its computation.
/// The function's body is the specification; a kernel differs from it only by rounding.
/// </summary>
internal sealed unsafe class Kernel(string name, delegate*<ref KernelContext, void> compute)
{
    internal string Name { get; } = name;

    internal ImmutableArray<ElementType> Inputs { get; init; }

    internal ImmutableArray<ElementType> Outputs { get; init; }

    /// <summary>For each output, the input whose shape it has; shorter than the outputs where later ones have shapes of their own.</summary>
    internal ImmutableArray<int> SameShape { get; init; } = [];

    /// <summary>Names of float attributes; a kernel reads them by position.</summary>
    internal ImmutableArray<string> Floats { get; init; } = [];

    /// <summary>Names of integer attributes.</summary>
    internal ImmutableArray<string> Integers { get; init; } = [];

    internal Reuse Reuse { get; init; }

    /// <summary>One run of a node. May throw before it starts parallel work, never inside it.</summary>
    internal void Compute(ref KernelContext context) => compute(ref context);

    internal static ImmutableArray<ElementType> AllFloat(int count) => [.. Enumerable.Repeat(ElementType.Float, count)];
}
