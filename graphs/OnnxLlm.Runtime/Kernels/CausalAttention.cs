using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Causal self-attention without a matrix of all scores: o = softmax(q·kᵀ/√K, keys up to the query)·v, and the log-sum-exp of every query's scores,
/// from which the gradient recomputes them. One part of the parallel work is one query head of one sequence.
/// </summary>
internal static unsafe class CausalAttention
{
    internal static readonly Kernel Kernel = new("CausalAttention", &Compute)
    {
        Inputs = Kernel.AllFloat(3),
        Outputs = Kernel.AllFloat(2),
        SameShape = [0],
        Integers = ["heads", "kv_heads"],
    };

    /// <summary>The same of queries, keys and values in one tensor, as one projection makes them.</summary>
    internal static readonly Kernel Packed = new("PackedAttention", &ComputePacked)
    {
        Inputs = Kernel.AllFloat(1),
        Outputs = Kernel.AllFloat(2),
        Integers = ["heads", "kv_heads"],
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal AttentionShape Shape;
        internal float* Q, K, V, O, Lse;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor q = context.Input(0), k = context.Input(1);
        AttentionShape shape = AttentionShape.Of(ref context, q, k);
        Arguments arguments = new()
        {
            Width = context.Width,
            Shape = shape,
            Q = q.Floats,
            K = k.Floats,
            V = context.Input(2, k).Floats,
            O = context.Output(0, q),
            Lse = context.Output(1, [shape.B, shape.H, shape.T]),
        };
        Run(ref context, &arguments);
    }

    private static void ComputePacked(ref KernelContext context)
    {
        KernelTensor qkv = context.Input(0);
        AttentionShape shape = AttentionShape.OfPacked(ref context, qkv);
        Arguments arguments = new()
        {
            Width = context.Width,
            Shape = shape,
            Q = qkv.Floats,
            K = qkv.Floats + shape.H * shape.K,
            V = qkv.Floats + (shape.H + shape.G) * shape.K,
            O = context.Output(0, [shape.B, shape.T, shape.OutputStride]),
            Lse = context.Output(1, [shape.B, shape.H, shape.T]),
        };
        Run(ref context, &arguments);
    }

    private static void Run(ref KernelContext context, Arguments* arguments) => context.ParallelFor(
        (delegate* unmanaged<Arguments*, nint, void>)&Part, arguments->Shape.B * arguments->Shape.H, arguments, uneven: true);

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part)
    {
        long batch = part / arguments->Shape.H, head = part % arguments->Shape.H;
        if (arguments->Width == VectorWidth.Bits512) TiledAttention.Forward<Lanes512>(arguments, batch, head);
        else if (arguments->Width == VectorWidth.Portable) TiledAttention.Forward<PortableLanes>(arguments, batch, head);
        else TiledAttention.Forward<ScalarLane>(arguments, batch, head);
    }
}
