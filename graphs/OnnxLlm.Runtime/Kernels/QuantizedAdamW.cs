using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Graphs;
using Definition = OnnxLlm.Graphs.Functions.QuantizedAdamW;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The update of <see cref="AdamW"/> with moments of 8 bits, block by block: new moments stay in the first-level cache until the largest of their block are known. While their codes are
/// computed, which needs no memory, what comes next is asked for. Half the memory traffic of moments in single precision. Right in place; a gradient scale that is not finite leaves everything as it was.
/// </summary>
internal readonly unsafe struct QuantizedAdamW
{
    private const int Block = Definition.Block, BlocksOfPart = (int)(KernelContext.Grain / Block);

    /// <summary>Blocks of which the new moments are kept before their codes are computed: one block's maxima and quotients are waited for while the next are updated.</summary>
    private const int Together = 16;

    /// <summary>Floats of a line of the cache.</summary>
    private const int Line = 16;

    internal static readonly Kernel Kernel = new("QuantizedAdamW", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.Float, ElementType.Int8, ElementType.Float, ElementType.Int8, .. Kernel.AllFloat(6)],
        Outputs = [ElementType.Float, ElementType.Int8, ElementType.Float, ElementType.Int8, ElementType.Float],
        SameShape = [0, 2, 3, 4, 5],
        Floats = ["beta1", "beta2", "epsilon", "weight_decay"],
        Reuse = Reuse.ParameterAndScaledMoments,
    };

    private struct Arguments
    {
        internal VectorWidth Width;
        internal float* Parameter, Gradient, FirstScale, SecondScale, NewParameter, NewFirstScale, NewSecondScale;
        internal sbyte* First, Second, NewFirst, NewSecond;
        internal float Scale, FirstUnit, SecondUnit, FirstShare, SecondShare, Epsilon, Keep, MinusRate, InverseRootBias2;
        internal fixed float Added[Block];
        internal long Blocks;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor parameter = context.Input(0);
        long blocks = parameter.Count / Block;
        if (blocks * Block != parameter.Count) throw new ModelRuntimeException($"input 0 must be blocks of {Block} elements, it has {parameter.Count}");
        float learningRate = context.Scalar(6), scale = context.Scalar(7), dither = context.Scalar(10), beta1 = context.Float(0), beta2 = context.Float(1);
        Arguments arguments = new()
        {
            Width = context.Width,
            Parameter = parameter.Floats,
            Gradient = context.Input(1, parameter).Floats,
            First = (sbyte*)context.Input(2, parameter).Data,
            FirstScale = context.Input(3, [blocks]),
            Second = (sbyte*)context.Input(4, parameter).Data,
            SecondScale = context.Input(5, [blocks]),
            NewParameter = context.Output(0, parameter),
            NewFirst = (sbyte*)context.Output(1, parameter),
            NewFirstScale = context.Output(2, [blocks]),
            NewSecond = (sbyte*)context.Output(3, parameter),
            NewSecondScale = context.Output(4, [blocks]),
            Scale = scale,
            FirstUnit = beta1 / (Definition.LargestFirst * Definition.LargestFirst),
            SecondUnit = MathF.Sqrt(beta2) / (Definition.LargestSecond * Definition.LargestSecond),
            FirstShare = scale * (1 - beta1),
            SecondShare = scale * MathF.Sqrt(1 - beta2),
            Epsilon = context.Float(2),
            Keep = 1 - learningRate * context.Float(3),
            MinusRate = -learningRate / context.Scalar(8),
            InverseRootBias2 = 1 / MathF.Sqrt(context.Scalar(9)),
            Blocks = blocks,
        };
        for (int i = 0; i < Block; i++)
        {
            float place = Definition.Places[i] + dither;
            arguments.Added[i] = place - MathF.Floor(place);
        }
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(parameter.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part)
    {
        long start = part * BlocksOfPart, end = Math.Min(arguments->Blocks, start + BlocksOfPart);
        if (!float.IsFinite(arguments->Scale)) Keep(arguments, start, end);
        else if (arguments->Width == VectorWidth.Bits512) Blocks<Lanes512>(arguments, start, end);
        else if (arguments->Width == VectorWidth.Portable) Blocks<PortableLanes>(arguments, start, end);
        else Blocks<ScalarLane>(arguments, start, end);
    }

    private static void Keep(Arguments* arguments, long start, long end)
    {
        Copy(arguments->Parameter, arguments->NewParameter, Block * sizeof(float));
        Copy(arguments->First, arguments->NewFirst, Block);
        Copy(arguments->FirstScale, arguments->NewFirstScale, sizeof(float));
        Copy(arguments->Second, arguments->NewSecond, Block);
        Copy(arguments->SecondScale, arguments->NewSecondScale, sizeof(float));

        void Copy(void* from, void* to, long bytes) => Buffer.MemoryCopy((byte*)from + start * bytes, (byte*)to + start * bytes, (end - start) * bytes, (end - start) * bytes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Blocks<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* memory = stackalloc float[(2 * Together + 1) * Block + Line + 2 * Together];
        float* first = (float*)(((nint)memory + Line * sizeof(float) - 1) & -(Line * sizeof(float))), root = first + Together * Block, added = root + Together * Block, steps = added + Block;
        new ReadOnlySpan<float>(arguments->Added, Block).CopyTo(new Span<float>(added, Block));
        for (long block = start; block < end; block += Together)
        {
            long count = Math.Min(Together, end - block);
            for (long i = 0; i < count; i++) Update<T>(arguments, block + i, first + i * Block, root + i * Block, steps + 2 * i);
            long next = (block + count) * Block, later = Math.Min(Together, end - block - count) * Block;
            Ahead parameters = new((byte*)(arguments->Parameter + next), later * sizeof(float), count), gradients = new((byte*)(arguments->Gradient + next), later * sizeof(float), count);
            Ahead firsts = new((byte*)arguments->First + next, later, count), seconds = new((byte*)arguments->Second + next, later, count);
            for (long i = 0; i < count; i++)
            {
                Store<T>(arguments, block + i, first + i * Block, root + i * Block, steps + 2 * i, added);
                if (!Sse.IsSupported) continue;
                parameters.Ask();
                gradients.Ask();
                firsts.Ask();
                seconds.Ask();
            }
        }
    }

    /// <summary>The new parameters of a block, its new moments (of the second, the root) and their scales.</summary>
    /// <param name="steps">What moments are multiplied by before the root is taken.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Update<T>(Arguments* arguments, long block, float* first, float* root, float* steps) where T : unmanaged, ILanes<T>
    {
        T keep = T.All(arguments->Keep), minusRate = T.All(arguments->MinusRate), share1 = T.All(arguments->FirstShare), share2 = T.All(arguments->SecondShare);
        T epsilon = T.All(arguments->Epsilon), inverseRootBias2 = T.All(arguments->InverseRootBias2), lowest = T.All(Definition.LargestFirst + 1), zero = T.All(0);
        T unit1 = T.All(arguments->FirstScale[block] * arguments->FirstUnit), unit2 = T.All(arguments->SecondScale[block] * arguments->SecondUnit), largestFirst = zero, largestRoot = zero;
        long offset = block * Block;
        for (int i = 0; i < Block; i += T.Count)
        {
            T code = T.Load(arguments->First + offset + i), step = T.Load(arguments->Second + offset + i) + lowest;
            T g = T.Load(arguments->Gradient + offset + i), oldRoot = step * step * unit2, share = g * share2;
            T m = T.MultiplyAdd(code * T.Maximum(code, zero - code), unit1, g * share1);
            T r = T.SquareRoot(T.MultiplyAdd(oldRoot, oldRoot, share * share));
            T change = minusRate * m / T.MultiplyAdd(r, inverseRootBias2, epsilon);
            T.Store(T.MultiplyAdd(T.Load(arguments->Parameter + offset + i), keep, change), arguments->NewParameter + offset + i);
            T.Store(m, first + i);
            T.Store(r, root + i);
            largestFirst = T.Maximum(largestFirst, T.Maximum(m, zero - m));
            largestRoot = T.Maximum(largestRoot, r);
        }
        (arguments->NewFirstScale[block], steps[0]) = Steps(T.Largest(largestFirst), Definition.LargestFirst);
        (arguments->NewSecondScale[block], steps[1]) = Steps(T.Largest(largestRoot), Definition.LargestSecond);
    }

    private static (float Scale, float Steps) Steps(float scale, int largest) => scale > Definition.Smallest ? (scale, (float)(largest * largest) / scale) : (0, 0);

    /// <summary>The codes of a block's new moments.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T>(Arguments* arguments, long block, float* first, float* root, float* steps, float* added) where T : unmanaged, ILanes<T>
    {
        T steps1 = T.All(steps[0]), steps2 = T.All(steps[1]), zero = T.All(0), one = T.All(1), lowest = T.All(Definition.LargestFirst + 1);
        long offset = block * Block;
        for (int i = 0; i < Block; i += T.Count)
        {
            T m = T.Load(first + i), r = T.Load(root + i), dither = T.Load(added + i);
            T code = Rounded(T.Maximum(m, zero - m) * steps1, dither, Definition.LargestFirst);
            T.Store(T.WhereLess(m, zero, zero - code, code), arguments->NewFirst + offset + i);
            T.Store(T.Maximum(Rounded(r * steps2, dither, Definition.LargestSecond), one) - lowest, arguments->NewSecond + offset + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Rounded<T>(T square, T added, int largest) where T : unmanaged, ILanes<T> =>
        T.Minimum(T.Floor(added + T.SquareRoot(T.Maximum(T.MultiplyAdd(added, added, square - added), T.All(0)))), T.All(largest));
}
