using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>The cross-entropy of every row of an output layer, without a gradient and without all logits in memory; 0 for ignored rows.</summary>
internal static unsafe class LinearTokenLoss
{
    internal static readonly Kernel Kernel = new("LinearTokenLoss", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.Float, ElementType.Int64],
        Outputs = Kernel.AllFloat(1),
        SameShape = [2],
    };

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(0), weight = context.Input(1);
        long* labels = Labels.Checked(ref context, 2, x.Shape[0], weight.Shape[0]);
        float* losses = context.Output(0, [x.Shape[0]]);
        LogitsChunk chunk = LogitsChunk.Rent(context.Width, x, weight);
        try
        {
            for (long row = 0; row < x.Shape[0]; row += chunk.Rows)
            {
                chunk.Compute(ref context, x.Floats + row * chunk.D, x.Shape[0] - row);
                for (long i = 0; i < chunk.Rows; i++)
                    losses[row + i] = labels[row + i] == Labels.Ignored ? 0 : chunk.Loss(i, labels[row + i]);
            }
        }
        finally
        {
            chunk.Return();
        }
    }
}
