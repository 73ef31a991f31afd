using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Gradients of LayerNorm. Every part keeps its own sums for the gradients of weight and bias, side by side; they are added in order afterwards.
/// dx may overwrite dy. On the way y, the value, costs a store.
/// </summary>
internal readonly unsafe struct LayerNormGrad : IRowwise<LayerNormGrad.Arguments>
{
    internal static readonly Kernel Kernel = new("LayerNormGrad", &Compute)
    {
        Inputs = Kernel.AllFloat(5),
        Outputs = Kernel.AllFloat(3),
        SameShape = [1, 2, 2],
        Reuse = Reuse.FirstForFirst,
    };

    internal static readonly Kernel WithValue = new("LayerNormGradWithValue", &ComputeWithValue)
    {
        Inputs = Kernel.AllFloat(6),
        Outputs = Kernel.AllFloat(4),
        SameShape = [1, 2, 2, 1],
        Reuse = Reuse.FirstForFirst,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* Dy, X, Weight, Mean, Rstd, Dx, Partial, Bias, Y;   // the last two are null where the value is not wanted
        internal long D;
    }

    /// <summary>One row and its statistics.</summary>
    private struct Row
    {
        internal float* Dy, X, Dx, Y;
        internal float Mean, Rstd, SumOfGradients, SumOfProducts;
    }

    private static void Compute(ref KernelContext context) => Run(ref context, null, null);

    private static void ComputeWithValue(ref KernelContext context)
    {
        KernelTensor x = context.Input(1);
        Run(ref context, context.Input(5, [x.Width]), context.Output(3, x));
    }

    private static void Run(ref KernelContext context, float* bias, float* y)
    {
        KernelTensor x = context.Input(1), statistic = x.WithWidth(1);
        Arguments arguments = new()
        {
            Width = context.Width,
            Partition = RowPartition.ForSums(x.Rows, x.Width),
            Dy = context.Input(0, x).Floats,
            X = x.Floats,
            Weight = context.Input(2, [x.Width]),
            Mean = context.Input(3, statistic).Floats,
            Rstd = context.Input(4, statistic).Floats,
            Dx = context.Output(0, x),
            Bias = bias,
            Y = y,
            D = x.Width,
        };
        float* dweight = context.Output(1, [x.Width]), dbias = context.Output(2, [x.Width]);
        long parts = arguments.Partition.Parts, width = arguments.D;
        arguments.Partial = Scratch.Rent(parts * 2 * width);
        try
        {
            context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, parts, &arguments);
            RowMath.SumColumns(arguments.Partial, parts, 2 * width, dweight, width);
            RowMath.SumColumns(arguments.Partial + width, parts, 2 * width, dbias, width);
        }
        finally
        {
            Scratch.Return(arguments.Partial);
        }
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<LayerNormGrad, Arguments>(arguments->Width, arguments, part);

    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        long width = arguments->D;
        float* weight = arguments->Weight, partial = arguments->Partial + start / arguments->Partition.RowsPerPart * 2 * width;
        NativeMemory.Clear(partial, (nuint)(2 * width * sizeof(float)));
        for (long r = start; r < end; r++)
        {
            Row row = new()
            {
                Dy = arguments->Dy + r * width,
                X = arguments->X + r * width,
                Dx = arguments->Dx + r * width,
                Y = arguments->Y == null ? null : arguments->Y + r * width,
                Mean = arguments->Mean[r],
                Rstd = arguments->Rstd[r],
            };
            Sums<ScalarLane>(ref row, weight, partial, Sums<T>(ref row, weight, partial, 0, width), width);
            row.SumOfGradients /= width;
            row.SumOfProducts /= width;
            Gradient<ScalarLane>(row, weight, arguments->Bias, Gradient<T>(row, weight, arguments->Bias, 0, width), width);
        }
    }

    /// <summary>Adds Σ dy·weight and Σ dy·weight·x̂ to the row, dy·x̂ and dy to the partial sums; x̂ = (x − mean)·rstd.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Sums<T>(ref Row row, float* weight, float* partial, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* dy = row.Dy, x = row.X, dweight = partial, dbias = partial + end;
        T mean = T.All(row.Mean), rstd = T.All(row.Rstd), gradients = T.All(0), products = gradients;
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T gradient = T.Load(dy + i), unit = (T.Load(x + i) - mean) * rstd, weighted = gradient * T.Load(weight + i);
            gradients += weighted;
            products = T.MultiplyAdd(weighted, unit, products);
            T.Store(T.MultiplyAdd(gradient, unit, T.Load(dweight + i)), dweight + i);
            T.Store(T.Load(dbias + i) + gradient, dbias + i);
        }
        row.SumOfGradients += T.Sum(gradients);
        row.SumOfProducts += T.Sum(products);
        return i;
    }

    /// <summary>dx = (dy·weight − mean(dy·weight) − x̂·mean(dy·weight·x̂))·rstd, and y = x̂·weight + bias as <see cref="LayerNorm"/> has it, to the bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Gradient<T>(in Row row, float* weight, float* bias, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* dy = row.Dy, x = row.X, dx = row.Dx, y = row.Y;
        T mean = T.All(row.Mean), rstd = T.All(row.Rstd), gradients = T.All(row.SumOfGradients), products = T.All(row.SumOfProducts);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T unit = (T.Load(x + i) - mean) * rstd, scale = T.Load(weight + i);
            T.Store((T.Load(dy + i) * scale - gradients - unit * products) * rstd, dx + i);
            if (y is not null) T.Store(T.MultiplyAdd(unit, scale, T.Load(bias + i)), y + i);
        }
        return i;
    }
}
