using System.Runtime.CompilerServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>A computation that treats every element alike.</summary>
internal unsafe interface IElementwise<TArguments> where TArguments : unmanaged
{
    /// <summary>Computes as many whole vectors of [<paramref name="start"/>, <paramref name="end"/>) as there are and returns where it stopped.</summary>
    static abstract long Range<T>(TArguments* arguments, long start, long end) where T : unmanaged, ILanes<T>;
}

/// <summary>Runs one part of an elementwise computation: whole vectors, then the tail.</summary>
internal static unsafe class Elementwise
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Part<TKernel, TArguments>(VectorWidth width, TArguments* arguments, long count, nint part)
        where TKernel : IElementwise<TArguments>
        where TArguments : unmanaged
    {
        long start = part * KernelContext.Grain, end = Math.Min(count, start + KernelContext.Grain);
        if (width == VectorWidth.Bits512) start = TKernel.Range<Lanes512>(arguments, start, end);
        else if (width == VectorWidth.Portable) start = TKernel.Range<PortableLanes>(arguments, start, end);
        TKernel.Range<ScalarLane>(arguments, start, end);
    }

    /// <summary>Leaves a part as it was, in another place or in its own.</summary>
    internal static void Copy(float* from, float* to, long count, nint part)
    {
        long start = part * KernelContext.Grain, bytes = Math.Min(count - start, KernelContext.Grain) * sizeof(float);
        Buffer.MemoryCopy(from + start, to + start, bytes, bytes);
    }
}
