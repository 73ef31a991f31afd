using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// dx = dy·(s + x·s·(1 − s)·2u′) with s = σ(2u) = 1/(1 + e) and 2u′ = 2√(2/π)·(1 + 3·0.044715·x²). 1 − s is taken as e·s, which keeps its digits
/// where s is near 1. dx may overwrite dy. On the way x·s, the value, costs a store.
/// </summary>
internal readonly unsafe struct GeluGrad : IElementwise<GeluGrad.Arguments>
{
    internal static readonly Kernel Kernel = new("GeluGrad", &Compute)
    {
        Inputs = Kernel.AllFloat(2),
        Outputs = Kernel.AllFloat(1),
        SameShape = [1],
        Reuse = Reuse.FirstForFirst,
    };

    internal static readonly Kernel WithValue = new("GeluGradWithValue", &ComputeWithValue)
    {
        Inputs = Kernel.AllFloat(2),
        Outputs = Kernel.AllFloat(2),
        SameShape = [1, 1],
        Reuse = Reuse.FirstForFirst,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal float* Dy, X, Dx, Y;   // Y is null where the value is not wanted
        internal long Count;
    }

    private static void Compute(ref KernelContext context) => Run(ref context, null);

    private static void ComputeWithValue(ref KernelContext context) => Run(ref context, context.Output(1, context.Input(1)));

    private static void Run(ref KernelContext context, float* y)
    {
        KernelTensor x = context.Input(1);
        Arguments arguments = new() { Width = context.Width, Dy = context.Input(0, x).Floats, X = x.Floats, Dx = context.Output(0, x), Y = y, Count = x.Count };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => Elementwise.Part<GeluGrad, Arguments>(arguments->Width, arguments, arguments->Count, part);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Range<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* dy = arguments->Dy, x = arguments->X, dx = arguments->Dx, y = arguments->Y;
        const float nearInfinity = 126; // e stays finite, as e·s needs
        T one = T.All(1), most = T.All(nearInfinity), slope = T.All(Gelu.TwiceSlope), cubic = T.All(3 * Gelu.Cubic * Gelu.TwiceSlope);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T value = T.Load(x + i), e = T.Exp2(T.Minimum(Gelu.Exponent(value), most)), s = one / (one + e);
            T bend = value * s * (e * s) * T.MultiplyAdd(value * value, cubic, slope);
            T.Store(T.Load(dy + i) * (bend + s), dx + i);
            if (y is not null) T.Store(value * s, y + i);
        }
        return i;
    }
}
