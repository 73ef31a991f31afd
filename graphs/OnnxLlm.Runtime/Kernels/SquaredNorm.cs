using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Σ x²: one partial sum per part of fixed size, added in order in double precision.</summary>
internal readonly unsafe struct SquaredNorm : IRowwise<SquaredNorm.Arguments>
{
    internal static readonly Kernel Kernel = new("SquaredNorm", &Compute) { Inputs = Kernel.AllFloat(1), Outputs = Kernel.AllFloat(1) };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* X, Sums;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        float* result = context.Output(0, []);
        Arguments arguments = new() { Width = context.Width, Partition = new RowPartition(x.Count, KernelContext.Grain), X = x.Floats };
        arguments.Sums = Scratch.Rent(arguments.Partition.Parts);
        try
        {
            context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments.Partition.Parts, &arguments);
            double sum = 0;
            for (long i = 0; i < arguments.Partition.Parts; i++) sum += arguments.Sums[i];
            *result = (float)sum;
        }
        finally
        {
            Scratch.Return(arguments.Sums);
        }
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<SquaredNorm, Arguments>(arguments->Width, arguments, part);

    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T> =>
        arguments->Sums[start / KernelContext.Grain] = RowMath.SumOfSquares<T>(arguments->X + start, 0, end - start);
}
