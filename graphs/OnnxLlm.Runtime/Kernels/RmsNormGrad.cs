using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Gradients of RmsNorm. Every part keeps its own sum for the weight's gradient; the sums are added in order afterwards.
/// dx may overwrite dy. On the way y, the value, costs a store.
/// </summary>
internal readonly unsafe struct RmsNormGrad : IRowwise<RmsNormGrad.Arguments>
{
    internal static readonly Kernel Kernel = new("RmsNormGrad", &Compute)
    {
        Inputs = Kernel.AllFloat(4),
        Outputs = Kernel.AllFloat(2),
        SameShape = [1, 2],
        Reuse = Reuse.FirstForFirst,
    };

    internal static readonly Kernel WithValue = new("RmsNormGradWithValue", &ComputeWithValue)
    {
        Inputs = Kernel.AllFloat(4),
        Outputs = Kernel.AllFloat(3),
        SameShape = [1, 2, 1],
        Reuse = Reuse.FirstForFirst,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* Dy, X, Weight, Rstd, Dx, Partial, Y;   // Y is null where the value is not wanted
        internal long D;
    }

    private static void Compute(ref KernelContext context) => Run(ref context, null);

    private static void ComputeWithValue(ref KernelContext context) => Run(ref context, context.Output(2, context.Input(1)));

    private static void Run(ref KernelContext context, float* y)
    {
        KernelTensor x = context.Input(1);
        Arguments arguments = new()
        {
            Width = context.Width,
            Partition = RowPartition.ForSums(x.Rows, x.Width),
            Dy = context.Input(0, x).Floats,
            X = x.Floats,
            Weight = context.Input(2, [x.Width]),
            Rstd = context.Input(3, x.WithWidth(1)).Floats,
            Dx = context.Output(0, x),
            Y = y,
            D = x.Width,
        };
        float* dweight = context.Output(1, [x.Width]);
        arguments.Partial = Scratch.Rent(arguments.Partition.Parts * arguments.D);
        try
        {
            context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments.Partition.Parts, &arguments);
            RowMath.SumColumns(arguments.Partial, arguments.Partition.Parts, arguments.D, dweight, arguments.D);
        }
        finally
        {
            Scratch.Return(arguments.Partial);
        }
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<RmsNormGrad, Arguments>(arguments->Width, arguments, part);

    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        long width = arguments->D;
        float* weight = arguments->Weight, dweight = arguments->Partial + start / arguments->Partition.RowsPerPart * width;
        NativeMemory.Clear(dweight, (nuint)(width * sizeof(float)));
        for (long row = start; row < end; row++)
        {
            float* dy = arguments->Dy + row * width, x = arguments->X + row * width, dx = arguments->Dx + row * width, y = arguments->Y == null ? null : arguments->Y + row * width;
            float rstd = arguments->Rstd[row], sum = 0;
            Sums<ScalarLane>(dy, x, weight, dweight, rstd, ref sum, Sums<T>(dy, x, weight, dweight, rstd, ref sum, 0, width), width);
            float mean = sum / width;
            Gradient<ScalarLane>(dy, x, weight, dx, y, rstd, mean, Gradient<T>(dy, x, weight, dx, y, rstd, mean, 0, width), width);
        }
    }

    /// <summary>sum += Σ dy·weight·x̂, dweight += dy·x̂, where x̂ = x·rstd.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Sums<T>(float* dy, float* x, float* weight, float* dweight, float rstd, ref float sum, long start, long end)
        where T : unmanaged, ILanes<T>
    {
        T factor = T.All(rstd), sums = T.All(0);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T product = T.Load(dy + i) * (T.Load(x + i) * factor);
            sums = T.MultiplyAdd(product, T.Load(weight + i), sums);
            T.Store(T.Load(dweight + i) + product, dweight + i);
        }
        sum += T.Sum(sums);
        return i;
    }

    /// <summary>dx = (dy·weight − x̂·mean)·rstd, and y = x̂·weight as <see cref="RmsNorm"/> has it, to the bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Gradient<T>(float* dy, float* x, float* weight, float* dx, float* y, float rstd, float mean, long start, long end)
        where T : unmanaged, ILanes<T>
    {
        T factor = T.All(rstd), shrink = T.All(-mean * rstd);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T value = T.Load(x + i), scale = T.Load(weight + i);
            T.Store(T.MultiplyAdd(value, shrink, T.Load(dy + i) * scale) * factor, dx + i);
            if (y is not null) T.Store(value * factor * scale, y + i);
        }

        return i;
    }
}
