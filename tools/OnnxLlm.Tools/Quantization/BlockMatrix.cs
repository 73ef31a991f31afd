using OnnxLlm.Graphs;

namespace OnnxLlm.Tools.Quantization;

/// <summary>
/// A matrix in 8-bit blocks along its rows: w ≈ scale · (value − 128), with scale = max|w| / 127 of the block, in
/// 16 bits (<see cref="BFloat16"/>), so that a session may keep it in as many. The layout is that of ONNX Runtime's
/// MatMulNBits: values [rows, blocks, block], the last block of a row padded with zeros; scales [rows, blocks].
/// Each weight is at most half its block's scale from where it was: rounding changes a scale by a 256th at most, which leaves the largest at 127.5 of them.
/// </summary>
internal sealed record BlockMatrix(int Rows, int Columns, int Block, byte[] Values, float[] Scales)
{
    /// <summary>The value that stands for 0; what the runtime assumes when no zero points are given.</summary>
    public const byte ZeroPoint = 128;

    private const float Largest = 127;

    public int BlocksPerRow => BlocksOf(Columns, Block);

    /// <summary>Rounds row-major [rows, columns]; every number must be finite.</summary>
    public static BlockMatrix Quantize(ReadOnlySpan<float> matrix, int columns, int block)
    {
        int rows = matrix.Length / columns, blocks = BlocksOf(columns, block);
        var result = new BlockMatrix(rows, columns, block, new byte[rows * blocks * block], new float[rows * blocks]);
        Array.Fill(result.Values, ZeroPoint);
        for (int i = 0; i < result.Scales.Length; i++)
            result.Scales[i] = Round(result.Part(matrix, i), result.Values.AsSpan(i * block, block));
        return result;
    }

    /// <summary>What the runtime computes with: row-major [rows, columns].</summary>
    public float[] Dequantize()
    {
        float[] matrix = new float[Rows * Columns];
        for (int i = 0; i < Scales.Length; i++)
        {
            Span<float> part = Part(matrix, i);
            for (int k = 0; k < part.Length; k++) part[k] = Scales[i] * (Values[i * Block + k] - ZeroPoint);
        }
        return matrix;
    }

    /// <summary>The values as [rows, columns].</summary>
    public byte[] WithoutPadding()
    {
        byte[] values = new byte[Rows * Columns];
        int stored = BlocksPerRow * Block;
        for (int r = 0; r < Rows; r++) Values.AsSpan(r * stored, Columns).CopyTo(values.AsSpan(r * Columns));
        return values;
    }

    /// <summary>Turns row-major [rows, columns] into row-major [columns, rows].</summary>
    public static float[] Transpose(ReadOnlySpan<float> matrix, int columns)
    {
        int rows = matrix.Length / columns;
        float[] turned = new float[matrix.Length];
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) turned[c * rows + r] = matrix[r * columns + c];
        return turned;
    }

    /// <summary>Rounds one block and returns its scale: 0 for a block of zeros, whose values all stay at the zero point.</summary>
    private static float Round(ReadOnlySpan<float> weights, Span<byte> values)
    {
        float largest = 0;
        foreach (float weight in weights) largest = MathF.Max(largest, MathF.Abs(weight));
        float scale = largest / Largest;
        if (scale == 0) return 0;
        if (float.IsNormal(scale)) scale = BFloat16.Value(BFloat16.Round(scale));
        for (int k = 0; k < weights.Length; k++)
            values[k] = (byte)(ZeroPoint + MathF.Round(Math.Clamp(weights[k] / scale, -Largest, Largest)));
        return scale;
    }

    public static int BlocksOf(int columns, int block) => (columns + block - 1) / block;

    private ReadOnlySpan<float> Part(ReadOnlySpan<float> matrix, int index) => matrix.Slice(Start(index), Width(index));

    private Span<float> Part(float[] matrix, int index) => matrix.AsSpan(Start(index), Width(index));

    private int Start(int index) => index / BlocksPerRow * Columns + index % BlocksPerRow * Block;

    private int Width(int index) => Math.Min(Block, Columns - index % BlocksPerRow * Block);
}
