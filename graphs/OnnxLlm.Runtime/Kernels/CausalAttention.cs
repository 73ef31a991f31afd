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
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, shape.B * shape.H, &arguments, uneven: true);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part)
    {
        long batch = part / arguments->Shape.H, head = part % arguments->Shape.H;
        if (arguments->Width == VectorWidth.Bits512) TiledAttention.Forward<Lanes512>(arguments, batch, head);
        else if (arguments->Width == VectorWidth.Portable) TiledAttention.Forward<PortableLanes>(arguments, batch, head);
        else TiledAttention.Forward<ScalarLane>(arguments, batch, head);
    }
}
