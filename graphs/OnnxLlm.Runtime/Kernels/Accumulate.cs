using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Adds a gradient to its buffer, or replaces the buffer where reset is set. Right in place.</summary>
internal readonly unsafe struct Accumulate : IElementwise<Accumulate.Arguments>
{
    internal static readonly Kernel Kernel = new("Accumulate", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.Float, ElementType.Bool],
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Reuse = Reuse.FirstForFirst,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal float* Buffer, Gradient, Result;
        internal bool Reset;
        internal long Count;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor buffer = context.Input(0);
        Arguments arguments = new()
        {
            Width = context.Width,
            Buffer = buffer.Floats,
            Gradient = context.Input(1, buffer).Floats,
            Result = context.Output(0, buffer),
            Reset = context.Flag(2),
            Count = buffer.Count,
        };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => Elementwise.Part<Accumulate, Arguments>(arguments->Width, arguments, arguments->Count, part);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Range<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* buffer = arguments->Buffer, gradient = arguments->Gradient, result = arguments->Result;
        long i = start;
        if (arguments->Reset)
            for (; i <= end - T.Count; i += T.Count) T.Store(T.Load(gradient + i), result + i);
        else
            for (; i <= end - T.Count; i += T.Count) T.Store(T.Load(buffer + i) + T.Load(gradient + i), result + i);
        return i;
    }
}
