using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Passes x on once the signal is there. Free where nothing else reads x any more: the output then lies where x lay.</summary>
internal static unsafe class After
{
    internal static readonly Kernel Kernel = new("After", &Compute)
    {
        Inputs = Kernel.AllFloat(2),
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Reuse = Reuse.FirstForFirst,
    };

    private struct Arguments
    {
        internal float* From, To;
        internal long Count;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(0);
        Arguments arguments = new() { From = x.Floats, To = context.Output(0, x), Count = x.Count };
        if (arguments.From != arguments.To)
            context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, KernelContext.Parts(arguments.Count), &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => Elementwise.Copy(arguments->From, arguments->To, arguments->Count, part);
}
