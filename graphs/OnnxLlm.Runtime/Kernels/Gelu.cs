using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// GELU in its tanh form. ½(1 + tanh u) is the logistic function of 2u, so one exponential and one division do:
/// y = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³).
/// </summary>
internal readonly unsafe struct Gelu : IElementwise<Gelu.Arguments>
{
    internal static readonly Kernel Kernel = new("Gelu", &Compute)
    {
        Inputs = Kernel.AllFloat(1),
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Reuse = Reuse.FirstForFirst,
    };

    /// <summary>0.044715 and 2·√(2/π).</summary>
    internal const float Cubic = 0.044715f, TwiceSlope = 1.5957691216f;

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal float* X, Y;
        internal long Count;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        Arguments arguments = new() { Width = context.Width, X = x.Floats, Y = context.Output(0, x), Count = x.Count };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => Elementwise.Part<Gelu, Arguments>(arguments->Width, arguments, arguments->Count, part);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Range<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* x = arguments->X, y = arguments->Y;
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T value = T.Load(x + i);
            T.Store(value * Gate(value), y + i);
        }
        return i;
    }

    /// <summary>σ(2u) = 1/(1 + 2^(−2u·log2 e)).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Gate<T>(T x) where T : unmanaged, ILanes<T> => T.All(1) / (T.All(1) + T.Exp2(Exponent(x)));

    /// <summary>−2u·log2 e.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Exponent<T>(T x) where T : unmanaged, ILanes<T>
    {
        const float linear = -TwiceSlope * Exponential.Log2E;
        return x * T.MultiplyAdd(x * x, T.All(linear * Cubic), T.All(linear));
    }
}
