using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Turns element i of a head's first half and element i of its second half by the angle of the row's position. One row of x [B, T, H*K] is one
/// position; the tables cos and sin are [T, K/2]. y may overwrite x.
/// </summary>
internal readonly unsafe struct RotaryEmbedding : IRowwise<RotaryEmbedding.Arguments>
{
    internal static readonly Kernel Kernel = new("RotaryEmbedding", &Compute)
    {
        Inputs = Kernel.AllFloat(3),
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Integers = ["heads"],
        Reuse = Reuse.FirstForFirst,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* X, Cos, Sin, Y;
        internal long Time, Heads, Half;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        long heads = context.Integer(0);
        if (x.Rank != 3 || heads <= 0 || x.Width % (2 * heads) != 0)
            throw new ModelRuntimeException($"x must be [B, T, heads*K] with even K and {heads} heads, its last dimension is {x.Width}");
        long time = x.Shape[1], half = x.Width / heads / 2;
        Arguments arguments = new()
        {
            Width = context.Width,
            Partition = RowPartition.Of(x.Rows, x.Width),
            X = x.Floats,
            Cos = context.Input(1, [time, half]),
            Sin = context.Input(2, [time, half]),
            Y = context.Output(0, x),
            Time = time,
            Heads = heads,
            Half = half,
        };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments.Partition.Parts, &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<RotaryEmbedding, Arguments>(arguments->Width, arguments, part);

    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        long half = arguments->Half, width = 2 * half * arguments->Heads;
        for (long row = start; row < end; row++)
        {
            float* cos = arguments->Cos + row % arguments->Time * half, sin = arguments->Sin + row % arguments->Time * half;
            for (long head = 0; head < width; head += 2 * half)
            {
                float* x = arguments->X + row * width + head, y = arguments->Y + row * width + head;
                Turn<T>(x, cos, sin, y, half);
            }
        }
    }

    /// <summary>One head.</summary>
    internal static void Turn<T>(float* x, float* cos, float* sin, float* y, long half) where T : unmanaged, ILanes<T> =>
        Turn<ScalarLane>(x, cos, sin, y, Turn<T>(x, cos, sin, y, 0, half), half);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Turn<T>(float* x, float* cos, float* sin, float* y, long start, long half) where T : unmanaged, ILanes<T>
    {
        long i = start;
        for (; i <= half - T.Count; i += T.Count)
        {
            T first = T.Load(x + i), second = T.Load(x + half + i), c = T.Load(cos + i), s = T.Load(sin + i);
            T.Store(first * c - second * s, y + i);
            T.Store(T.MultiplyAdd(second, c, first * s), y + half + i);
        }
        return i;
    }
}
