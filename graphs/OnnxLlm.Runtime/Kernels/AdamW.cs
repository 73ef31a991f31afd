using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// One AdamW update (Loshchilov and Hutter, decoupled weight decay) in a single pass over parameter, gradient and both moments. Right in place.
/// A gradient scale that is not finite leaves everything as it was.
/// </summary>
internal readonly unsafe struct AdamW : IElementwise<AdamW.Arguments>
{
    internal static readonly Kernel Kernel = new("AdamW", &Compute)
    {
        Inputs = Kernel.AllFloat(8),
        Outputs = Kernel.AllFloat(3),
        SameShape = [0, 2, 3],
        Floats = ["beta1", "beta2", "epsilon", "weight_decay"],
        Reuse = Reuse.ParameterAndMoments,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal float* Parameter, Gradient, M, V, NewParameter, NewM, NewV;
        internal float Scale, Beta1, Beta2, Epsilon, Keep, Rate, InverseRootBias2;
        internal long Count;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor parameter = context.Input(0);
        float learningRate = context.Scalar(4);
        Arguments arguments = new()
        {
            Width = context.Width,
            Parameter = parameter.Floats,
            Gradient = context.Input(1, parameter).Floats,
            M = context.Input(2, parameter).Floats,
            V = context.Input(3, parameter).Floats,
            NewParameter = context.Output(0, parameter),
            NewM = context.Output(1, parameter),
            NewV = context.Output(2, parameter),
            Scale = context.Scalar(5),
            Beta1 = context.Float(0),
            Beta2 = context.Float(1),
            Epsilon = context.Float(2),
            Keep = 1 - learningRate * context.Float(3),
            Rate = learningRate / context.Scalar(6),
            InverseRootBias2 = 1 / MathF.Sqrt(context.Scalar(7)),
            Count = parameter.Count,
        };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part)
    {
        if (float.IsFinite(arguments->Scale)) Elementwise.Part<AdamW, Arguments>(arguments->Width, arguments, arguments->Count, part);
        else Keep(arguments, part);
    }

    private static void Keep(Arguments* arguments, nint part)
    {
        Elementwise.Copy(arguments->Parameter, arguments->NewParameter, arguments->Count, part);
        Elementwise.Copy(arguments->M, arguments->NewM, arguments->Count, part);
        Elementwise.Copy(arguments->V, arguments->NewV, arguments->Count, part);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Range<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* parameter = arguments->Parameter, gradient = arguments->Gradient, m = arguments->M, v = arguments->V;
        float* newParameter = arguments->NewParameter, newM = arguments->NewM, newV = arguments->NewV;
        T scale = T.All(arguments->Scale), keep = T.All(arguments->Keep), rate = T.All(arguments->Rate);
        T beta1 = T.All(arguments->Beta1), rest1 = T.All(1 - arguments->Beta1), beta2 = T.All(arguments->Beta2), rest2 = T.All(1 - arguments->Beta2);
        T epsilon = T.All(arguments->Epsilon), inverseRootBias2 = T.All(arguments->InverseRootBias2);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
        {
            T g = T.Load(gradient + i) * scale;
            T first = T.MultiplyAdd(T.Load(m + i), beta1, g * rest1);
            T second = T.MultiplyAdd(T.Load(v + i), beta2, g * g * rest2);
            T step = rate * first / T.MultiplyAdd(T.SquareRoot(second), inverseRootBias2, epsilon);
            T.Store(first, newM + i);
            T.Store(second, newV + i);
            T.Store(T.MultiplyAdd(T.Load(parameter + i), keep, T.All(0) - step), newParameter + i);
        }
        return i;
    }
}
