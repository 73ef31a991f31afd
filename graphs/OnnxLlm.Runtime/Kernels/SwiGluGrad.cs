using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>dgate = dy·up·s·(1 + gate·(1 − s)), dup = dy·gate·s with s = σ(gate). The gradients may overwrite gate and up. On the way the value costs a store.</summary>
internal readonly unsafe struct SwiGluGrad : IElementwise<SwiGluGrad.Arguments>
{
    internal static readonly Kernel Kernel = new("SwiGluGrad", &Compute)
    {
        Inputs = Kernel.AllFloat(3),
        Outputs = Kernel.AllFloat(2),
        SameShape = [1, 2],
        Reuse = Reuse.SecondAndThirdForFirstAndSecond,
    };

    internal static readonly Kernel WithValue = new("SwiGluGradWithValue", &ComputeWithValue)
    {
        Inputs = Kernel.AllFloat(3),
        Outputs = Kernel.AllFloat(3),
        SameShape = [1, 2, 1],
        Reuse = Reuse.SecondAndThirdForFirstAndSecond,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal float* Dy, Gate, Up, Dgate, Dup, Y;    // Y is null where the value is not wanted
        internal long Count;
    }

    private static void Compute(ref KernelContext context) => Run(ref context, null);

    private static void ComputeWithValue(ref KernelContext context) => Run(ref context, context.Output(2, context.Input(1)));

    private static void Run(ref KernelContext context, float* y)
    {
        KernelTensor gate = context.Input(1);
        Arguments arguments = new()
        {
            Width = context.Width,
            Dy = context.Input(0, gate).Floats,
            Gate = gate.Floats,
            Up = context.Input(2, gate).Floats,
            Dgate = context.Output(0, gate),
            Dup = context.Output(1, gate),
            Y = y,
            Count = gate.Count,
        };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => Elementwise.Part<SwiGluGrad, Arguments>(arguments->Width, arguments, arguments->Count, part);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Range<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* dy = arguments->Dy, gate = arguments->Gate, up = arguments->Up, dgate = arguments->Dgate, dup = arguments->Dup, y = arguments->Y;
        T one = T.All(1);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T value = T.Load(gate + i), s = SwiGlu.Logistic(value), scaled = T.Load(dy + i) * s, factor = T.Load(up + i);
            T.Store(scaled * factor * T.MultiplyAdd(value, one - s, one), dgate + i);
            T.Store(scaled * value, dup + i);
            if (y is not null) T.Store(value * s * factor, y + i);
        }
        return i;
    }
}
