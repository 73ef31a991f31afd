using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>y = gate·σ(gate)·up. y may overwrite gate.</summary>
internal readonly unsafe struct SwiGlu : IElementwise<SwiGlu.Arguments>
{
    internal static readonly Kernel Kernel = new("SwiGlu", &Compute)
    {
        Inputs = Kernel.AllFloat(2),
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Reuse = Reuse.FirstForFirst,
    };

    /// <summary>Of gate and up side by side.</summary>
    internal static readonly Kernel Packed = new("PackedSwiGlu", &ComputePacked) { Inputs = Kernel.AllFloat(1), Outputs = Kernel.AllFloat(1) };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal float* Gate, Up, Y;
        internal long Count;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor gate = context.Input(0);
        Arguments arguments = new()
        {
            Width = context.Width,
            Gate = gate.Floats,
            Up = context.Input(1, gate).Floats,
            Y = context.Output(0, gate),
            Count = gate.Count,
        };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    private static void ComputePacked(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        if (x.Rank == 0 || x.Width % 2 != 0) throw new ModelRuntimeException("gate and up must be equally wide");
        Arguments arguments = new() { Width = context.Width, Gate = x.Floats, Count = x.Width / 2 };
        long rows = x.Rows;
        x.Shape[x.Rank - 1] = arguments.Count;
        arguments.Y = context.Output(0, x);
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&PackedPart, rows * KernelContext.Parts(arguments.Count), &arguments);
    }

    /// <summary>A part of a row.</summary>
    [UnmanagedCallersOnly]
    private static void PackedPart(Arguments* arguments, nint part)
    {
        Arguments x = *arguments;
        (long row, long piece) = Math.DivRem(part, KernelContext.Parts(x.Count));
        x.Gate += row * 2 * x.Count;
        x.Up = x.Gate + x.Count;
        x.Y += row * x.Count;
        Elementwise.Part<SwiGlu, Arguments>(x.Width, &x, x.Count, (nint)piece);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => Elementwise.Part<SwiGlu, Arguments>(arguments->Width, arguments, arguments->Count, part);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Range<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* gate = arguments->Gate, up = arguments->Up, y = arguments->Y;
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T value = T.Load(gate + i);
            T.Store(value * Logistic(value) * T.Load(up + i), y + i);
        }
        return i;
    }

    /// <summary>σ(x) = 1/(1 + e^−x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Logistic<T>(T x) where T : unmanaged, ILanes<T> => T.All(1) / (T.All(1) + T.Exp2(x * T.All(-Exponential.Log2E)));
}
