using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>The cross-entropy of every row, without a gradient; 0 for ignored rows.</summary>
internal readonly unsafe struct TokenLoss : IRowwise<TokenLoss.Arguments>
{
    internal static readonly Kernel Kernel = new("TokenLoss", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.Int64],
        Outputs = Kernel.AllFloat(1),
        SameShape = [1],
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* Logits, Losses;
        internal long* Labels;
        internal long V;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor logits = context.Input(0);
        Arguments arguments = new()
        {
            Width = context.Width,
            Partition = RowPartition.Of(logits.Rows, logits.Width),
            Logits = logits.Floats,
            Labels = Labels.Checked(ref context, 1, logits.Rows, logits.Width),
            Losses = context.Output(0, [logits.Rows]),
            V = logits.Width,
        };
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments.Partition.Parts, &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<TokenLoss, Arguments>(arguments->Width, arguments, part);

    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        for (long row = start; row < end; row++)
        {
            float* logits = arguments->Logits + row * arguments->V;
            long label = arguments->Labels[row];
            arguments->Losses[row] = label == Labels.Ignored ? 0 : Row<T>(logits, label, arguments->V);
        }
    }

    private static float Row<T>(float* logits, long label, long count) where T : unmanaged, ILanes<T>
    {
        float largest = RowMath.Largest<T>(logits, count);
        return MathF.Log(RowMath.SumOfExponentials<T>(logits, largest, null, count)) - (logits[label] - largest);
    }
}
