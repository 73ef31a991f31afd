using System.Globalization;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Labels of a cross-entropy, one per row.</summary>
internal static unsafe class Labels
{
    internal const long Ignored = -100;

    /// <summary>Refuses labels that name no column: a kernel may not read or write outside its row.</summary>
    internal static long* Checked(ref KernelContext context, int input, long rows, long columns)
    {
        KernelTensor labels = context.Input(input);
        if (labels.Count != rows) throw new ModelRuntimeException(string.Create(CultureInfo.InvariantCulture, $"{labels.Count} labels for {rows} rows"));
        var values = (long*)labels.Data;
        for (long row = 0; row < rows; row++)
            if (values[row] != Ignored && (ulong)values[row] >= (ulong)columns)
                throw new ModelRuntimeException(string.Create(CultureInfo.InvariantCulture, $"the label {values[row]} of row {row} is not below {columns}"));
        return values;
    }
}

/// <summary>
/// Loss and gradient of a softmax cross-entropy in one go over every row: maximum, exponentials and their sum, scaling.
/// The gradient may overwrite the logits, so training needs one matrix [N, V], not two.
/// </summary>
internal readonly unsafe struct SoftmaxCrossEntropy : IRowwise<SoftmaxCrossEntropy.Arguments>
{
    internal static readonly Kernel Kernel = new("SoftmaxCrossEntropy", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.Int64, ElementType.Float],
        Outputs = Kernel.AllFloat(2),
        SameShape = [2, 0],
        Reuse = Reuse.FirstForSecond,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* Logits, Gradient, Losses;
        internal long* Labels;
        internal long V;
        internal float Scale;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor logits = context.Input(0);
        float* loss = context.Output(0, []);
        Arguments arguments = new()
        {
            Width = context.Width,
            Partition = RowPartition.Of(logits.Rows, logits.Width),
            Logits = logits.Floats,
            Labels = Labels.Checked(ref context, 1, logits.Rows, logits.Width),
            Gradient = context.Output(1, logits),
            V = logits.Width,
            Scale = context.Scalar(2),
        };
        arguments.Losses = Scratch.Rent(logits.Rows);
        try
        {
            context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments.Partition.Parts, &arguments);
            double sum = 0;
            for (long row = 0; row < logits.Rows; row++) sum += arguments.Losses[row];
            *loss = (float)(sum * arguments.Scale);
        }
        finally
        {
            Scratch.Return(arguments.Losses);
        }
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<SoftmaxCrossEntropy, Arguments>(arguments->Width, arguments, part);

    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        for (long row = start; row < end; row++)
        {
            float* gradient = arguments->Gradient + row * arguments->V;
            long label = arguments->Labels[row];
            if (label != Labels.Ignored)
            {
                arguments->Losses[row] = Row<T>(arguments->Logits + row * arguments->V, gradient, label, arguments->V, arguments->Scale);
                continue;
            }
            NativeMemory.Clear(gradient, (nuint)(arguments->V * sizeof(float)));
            arguments->Losses[row] = 0;
        }
    }

    /// <summary>Writes scale·(softmax − onehot) and returns the unscaled loss.</summary>
    private static float Row<T>(float* logits, float* gradient, long label, long count, float scale) where T : unmanaged, ILanes<T>
    {
        float largest = RowMath.Largest<T>(logits, count), chosen = logits[label];
        float sum = RowMath.SumOfExponentials<T>(logits, largest, gradient, count);
        RowMath.Scale<T>(gradient, scale / sum, count);
        gradient[label] -= scale;
        return MathF.Log(sum) - (chosen - largest);
    }
}
