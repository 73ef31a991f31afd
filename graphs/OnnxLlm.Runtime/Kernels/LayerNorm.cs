using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>y = (x − mean)·rstd·weight + bias with rstd = 1/√(variance + ε), row by row; the variance is summed after the mean is known.</summary>
internal readonly unsafe struct LayerNorm : IRowwise<LayerNorm.Arguments>
{
    internal static readonly Kernel Kernel = new("LayerNorm", &Compute)
    {
        Inputs = Kernel.AllFloat(3),
        Outputs = Kernel.AllFloat(3),
        SameShape = [0],
        Floats = ["epsilon"],
    };

    /// <summary>Of the sum of two, which is the second output; statistics are not kept.</summary>
    internal static readonly Kernel OfSum = new("SkipLayerNorm", &ComputeOfSum)
    {
        Inputs = Kernel.AllFloat(4),
        Outputs = Kernel.AllFloat(2),
        SameShape = [0, 0],
        Floats = ["epsilon"],
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* X, Skip, Weight, Bias, Y, Sum, Mean, Rstd;
        internal long D;
        internal float Epsilon;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        Arguments arguments = Over(ref context, x, gains: 1);
        arguments.Mean = context.Output(1, x.WithWidth(1));
        arguments.Rstd = context.Output(2, x.WithWidth(1));
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
        Bias = context.Input(gains + 1, [x.Width]),
        Y = context.Output(0, x),
        D = x.Width,
        Epsilon = context.Float(0),
    };

    private static void Run(ref KernelContext context, Arguments* arguments) =>
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments->Partition.Parts, arguments);

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<LayerNorm, Arguments>(arguments->Width, arguments, part);

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

            float mean = RowMath.Sum<T>(x, width) / width;
            float rstd = 1 / MathF.Sqrt(RowMath.SumOfSquares<T>(x, mean, width) / width + arguments->Epsilon);
            if (arguments->Mean != null) (arguments->Mean[row], arguments->Rstd[row]) = (mean, rstd);
            Apply<ScalarLane>(arguments, x, y, mean, rstd, Apply<T>(arguments, x, y, mean, rstd, 0, width), width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Apply<T>(Arguments* arguments, float* x, float* y, float mean, float rstd, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* weight = arguments->Weight, bias = arguments->Bias;
        T centre = T.All(mean), factor = T.All(rstd);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
            T.Store(T.MultiplyAdd((T.Load(x + i) - centre) * factor, T.Load(weight + i), T.Load(bias + i)), y + i);
        return i;
    }
}
