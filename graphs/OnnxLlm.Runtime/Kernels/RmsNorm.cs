using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>y = x·rstd·weight with rstd = 1/√(mean(x²) + ε), row by row.</summary>
internal readonly unsafe struct RmsNorm : IRowwise<RmsNorm.Arguments>
{
    internal static readonly Kernel Kernel = new("RmsNorm", &Compute)
    {
        Inputs = Kernel.AllFloat(2),
        Outputs = Kernel.AllFloat(2),
        SameShape = [0],
        Floats = ["epsilon"],
    };

    /// <summary>Of the sum of two, which is the second output; statistics are not kept.</summary>
    internal static readonly Kernel OfSum = new("SkipRmsNorm", &ComputeOfSum)
    {
        Inputs = Kernel.AllFloat(3),
        Outputs = Kernel.AllFloat(2),
        SameShape = [0, 0],
        Floats = ["epsilon"],
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* X, Skip, Weight, Y, Sum, Rstd;
        internal long D;
        internal float Epsilon;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        Arguments arguments = Over(ref context, x, gains: 1);
        arguments.Rstd = context.Output(1, x.WithWidth(1));
        Run(ref context, &arguments);
    }

    private static void ComputeOfSum(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        Arguments arguments = Over(ref context, x, gains: 2);
        arguments.Skip = context.Input(1, x).Floats;
        arguments.Sum = context.Output(1, x);
        Run(ref context, &arguments);
    }

    /// <param name="gains">Where the gains are among the inputs.</param>
    private static Arguments Over(ref KernelContext context, in KernelTensor x, int gains) => new()
    {
        Width = context.Width,
        Partition = RowPartition.Of(x.Rows, x.Width),
        X = x.Floats,
        Weight = context.Input(gains, [x.Width]),
        Y = context.Output(0, x),
        D = x.Width,
        Epsilon = context.Float(0),
    };

    private static void Run(ref KernelContext context, Arguments* arguments) =>
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments->Partition.Parts, arguments);

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<RmsNorm, Arguments>(arguments->Width, arguments, part);

    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        long width = arguments->D;
        for (long row = start; row < end; row++)
        {
            float* x = arguments->X + row * width, y = arguments->Y + row * width;
            if (arguments->Sum != null)
            {
                RowMath.Add<T>(x, arguments->Skip + row * width, arguments->Sum + row * width, width);
                x = arguments->Sum + row * width;
            }

            float rstd = 1 / MathF.Sqrt(RowMath.SumOfSquares<T>(x, 0, width) / width + arguments->Epsilon);
            if (arguments->Rstd != null) arguments->Rstd[row] = rstd;
            Scale<ScalarLane>(x, arguments->Weight, y, rstd, Scale<T>(x, arguments->Weight, y, rstd, 0, width), width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Scale<T>(float* x, float* weight, float* y, float rstd, long start, long end) where T : unmanaged, ILanes<T>
    {
        T factor = T.All(rstd);
        long i = start;
        for (; i <= end - T.Count; i += T.Count) T.Store(T.Load(x + i) * factor * T.Load(weight + i), y + i);
        return i;
    }
}
