using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Gradients of CausalAttention; the scores are recomputed from q, k and the log-sum-exp. One part of the parallel work is one key/value head of one
/// sequence with all query heads that read it, in order: its gradients are summed by one thread and come out the same on any number of threads.
/// </summary>
internal static unsafe class CausalAttentionGrad
{
    internal static readonly Kernel Kernel = new("CausalAttentionGrad", &Compute)
    {
        Inputs = Kernel.AllFloat(6),
        Outputs = Kernel.AllFloat(3),
        SameShape = [1, 2, 3],
        Integers = ["heads", "kv_heads"],
    };

    /// <summary>The same of queries, keys and values in one tensor; their gradients go into one like it.</summary>
    internal static readonly Kernel Packed = new("PackedAttentionGrad", &ComputePacked)
    {
        Inputs = Kernel.AllFloat(4),
        Outputs = Kernel.AllFloat(1),
        SameShape = [1],
        Integers = ["heads", "kv_heads"],
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal AttentionShape Shape;
        internal float* Do, Q, K, V, O, Lse, Dq, Dk, Dv;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor q = context.Input(1), k = context.Input(2);
        AttentionShape shape = AttentionShape.Of(ref context, q, k);
        Arguments arguments = new()
        {
            Width = context.Width,
            Shape = shape,
            Do = context.Input(0, q).Floats,
            Q = q.Floats,
            K = k.Floats,
            V = context.Input(3, k).Floats,
            O = context.Input(4, q).Floats,
            Lse = context.Input(5, [shape.B, shape.H, shape.T]),
            Dq = context.Output(0, q),
            Dk = context.Output(1, k),
            Dv = context.Output(2, k),
        };
        Run(ref context, &arguments);
    }

    private static void ComputePacked(ref KernelContext context)
    {
        KernelTensor qkv = context.Input(1);
        AttentionShape shape = AttentionShape.OfPacked(ref context, qkv);
        long keys = shape.H * shape.K, values = (shape.H + shape.G) * shape.K;
        float* gradient = context.Output(0, qkv);
        Arguments arguments = new()
        {
            Width = context.Width,
            Shape = shape,
            Do = context.Input(0, [shape.B, shape.T, shape.OutputStride]),
            Q = qkv.Floats,
            K = qkv.Floats + keys,
            V = qkv.Floats + values,
            O = context.Input(2, [shape.B, shape.T, shape.OutputStride]),
            Lse = context.Input(3, [shape.B, shape.H, shape.T]),
            Dq = gradient,
            Dk = gradient + keys,
            Dv = gradient + values,
        };
        Run(ref context, &arguments);
    }

    private static void Run(ref KernelContext context, Arguments* arguments) => context.ParallelFor(
        (delegate* unmanaged<Arguments*, nint, void>)&Part, arguments->Shape.B * arguments->Shape.G, arguments, uneven: true);

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part)
    {
        long batch = part / arguments->Shape.G, head = part % arguments->Shape.G;
        if (arguments->Width == VectorWidth.Bits512) TiledAttentionGrad.Backward<Lanes512>(arguments, batch, head);
        else if (arguments->Width == VectorWidth.Portable) TiledAttentionGrad.Backward<PortableLanes>(arguments, batch, head);
        else TiledAttentionGrad.Backward<ScalarLane>(arguments, batch, head);
    }
}
