using System.Runtime.CompilerServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>A computation that treats every row of the last dimension alike.</summary>
internal unsafe interface IRowwise<TArguments> where TArguments : unmanaged
{
    static abstract void Rows<T>(TArguments* arguments, long start, long end) where T : unmanaged, ILanes<T>;
}

/// <summary>Which rows belong to which part. It depends on the sizes alone, so that sums over parts are the same on any number of threads.</summary>
internal readonly record struct RowPartition(long Rows, long RowsPerPart)
{
    /// <summary>Most parts whose partial sums are added up afterwards.</summary>
    private const long MostPartialSums = 32;

    internal long Parts => (Rows + RowsPerPart - 1) / RowsPerPart;

    /// <summary>Parts of about <see cref="KernelContext.Grain"/> elements.</summary>
    internal static RowPartition Of(long rows, long width) => new(rows, Math.Max(1, KernelContext.Grain / Math.Max(1, width)));

    /// <summary>The same, with a bounded number of parts.</summary>
    internal static RowPartition ForSums(long rows, long width)
    {
        long parts = Math.Clamp(rows * width / KernelContext.Grain, 1, MostPartialSums);
        return new(rows, Math.Max(1, (rows + parts - 1) / parts));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal unsafe void Run<TKernel, TArguments>(VectorWidth width, TArguments* arguments, nint part)
        where TKernel : IRowwise<TArguments>
        where TArguments : unmanaged
    {
        long start = part * RowsPerPart, end = Math.Min(Rows, start + RowsPerPart);
        if (width == VectorWidth.Bits512) TKernel.Rows<Lanes512>(arguments, start, end);
        else if (width == VectorWidth.Portable) TKernel.Rows<PortableLanes>(arguments, start, end);
        else TKernel.Rows<ScalarLane>(arguments, start, end);
    }
}
