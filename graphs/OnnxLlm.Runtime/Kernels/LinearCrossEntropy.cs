using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Output layer, loss and their gradients, a chunk of rows at a time: of the logits [N, V] only a chunk's are ever in memory. The gradient of the weight
/// grows from chunk to chunk where it is wanted in the end, in its buffer. Every sum is in one order on any number of threads.
/// </summary>
internal static unsafe class LinearCrossEntropy
{
    internal static readonly Kernel Kernel = new("LinearCrossEntropy", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.Float, ElementType.Float, ElementType.Int64, ElementType.Float, ElementType.Bool],
        Outputs = Kernel.AllFloat(3),
        SameShape = [4, 1, 0],
        Reuse = Reuse.FirstForThird,
    };

    private static void Compute(ref KernelContext context)
    {
        KernelTensor x = context.Input(1), weight = context.Input(2);
        float* before = context.Flag(5) ? null : context.Input(0, weight).Floats, loss = context.Output(0, []);
        long* labels = Labels.Checked(ref context, 3, x.Shape[0], weight.Shape[0]);
        float scale = context.Scalar(4);
        float* dx = context.Output(1, x), sum = context.Output(2, weight);
        LogitsChunk chunk = LogitsChunk.Rent(context.Width, x, weight);
        try
        {
            double total = 0;
            for (long row = 0; row < x.Shape[0]; row += chunk.Rows, before = sum)
            {
                chunk.Compute(ref context, x.Floats + row * chunk.D, x.Shape[0] - row);
                for (long i = 0; i < chunk.Rows; i++)
                    if (labels[row + i] != Labels.Ignored) total += chunk.Loss(i, labels[row + i]);
                chunk.Differentiate(ref context, labels + row, scale);
                Multiply(ref context, chunk, dx + row * chunk.D, before, sum);
            }
            *loss = (float)(total * scale);
        }
        finally
        {
            chunk.Return();
        }
    }

    /// <summary>dx = dlogits·weight, and sum = before + dlogitsᵀ·x.</summary>
    private static void Multiply(ref KernelContext context, in LogitsChunk chunk, float* dx, float* before, float* sum)
    {
        ProductArguments inner = new() { Width = chunk.Width, M = chunk.Rows, N = chunk.D, K = chunk.V, A = chunk.Logits, B = chunk.Weight, C = dx, TransposeA = true };
        MatrixProduct.Run(ref context, &inner);
        ProductArguments outer = new()
        {
            Width = chunk.Width,
            M = chunk.V,
            N = chunk.D,
            K = chunk.Rows,
            A = chunk.Logits,
            B = chunk.X,
            C = sum,
            Start = before,
            StartStride = chunk.D,
        };
        MatrixProduct.Run(ref context, &outer);
    }
}
