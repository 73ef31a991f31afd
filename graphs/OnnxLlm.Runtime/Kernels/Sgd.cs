using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>p −= lr·(gradient·scale + decay·p); unchanged where the scale is not finite. Right in place.</summary>
internal readonly unsafe struct Sgd : IElementwise<Sgd.Arguments>
{
    internal static readonly Kernel Kernel = new("Sgd", &Compute)
    {
        Inputs = Kernel.AllFloat(4),
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Floats = ["weight_decay"],
        Reuse = Reuse.FirstForFirst,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal float* Parameter, Gradient, Result;
        internal float Scale, Rate, Keep;
        internal long Count;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor parameter = context.Input(0);
        float rate = context.Scalar(2), scale = context.Scalar(3);
        Arguments arguments = new()
        {
            Width = context.Width,
            Parameter = parameter.Floats,
            Gradient = context.Input(1, parameter).Floats,
            Result = context.Output(0, parameter),
            Rate = rate,
            Scale = scale,
            Keep = 1 - rate * context.Float(0),
            Count = parameter.Count,
        };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part)
    {
        if (float.IsFinite(arguments->Scale)) Elementwise.Part<Sgd, Arguments>(arguments->Width, arguments, arguments->Count, part);
        else Elementwise.Copy(arguments->Parameter, arguments->Result, arguments->Count, part);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Range<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        float* parameter = arguments->Parameter, gradient = arguments->Gradient, result = arguments->Result;
        T step = T.All(-arguments->Rate), scale = T.All(arguments->Scale), keep = T.All(arguments->Keep);
        long i = start;
        for (; i <= end - T.Count; i += T.Count)
            T.Store(T.MultiplyAdd(T.Load(gradient + i) * scale, step, T.Load(parameter + i) * keep), result + i);
        return i;
    }
}
