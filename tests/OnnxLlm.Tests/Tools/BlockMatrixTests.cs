using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Tools;

public sealed class BlockMatrixTests
{
    [Theory]
    [InlineData(64, 32)]
    [InlineData(48, 32)]
    [InlineData(33, 16)]
    [InlineData(300, 128)]
    public void Quantize_AnyWidth_StaysWithinHalfTheScaleOfEachBlock(int columns, int block)
    {
        float[] weights = WeightModels.Numbers(7 * columns);
        var matrix = BlockMatrix.Quantize(weights, columns, block);
        float[] rounded = matrix.Dequantize();
        for (int i = 0; i < weights.Length; i++)
        {
            double scale = matrix.Scales[i / columns * matrix.BlocksPerRow + i % columns / block];
            // Half a scale, and the rounding of two float operations.
            Assert.InRange(Math.Abs((double)weights[i] - rounded[i]), 0, scale / 2 + 1e-6 * Math.Abs(weights[i]));
        }
    }

    [Fact]
    public void Quantize_LargestWeightOfABlock_IsKept()
    {
        var matrix = BlockMatrix.Quantize([0.5f, -127f / 64, 1f, 0f], 4, 16);
        Assert.Equal(1f / 64, matrix.Scales[0]);
        Assert.Equal([160, 1, 192, 128], matrix.Values.Take(4).Select(v => (int)v));
    }

    [Fact]
    public void Quantize_Scales_AreTheNearestOf16Bits()
    {
        float[] weights = WeightModels.Numbers(320);
        var matrix = BlockMatrix.Quantize(weights, 32, 32);
        for (int i = 0; i < matrix.Scales.Length; i++)
        {
            Assert.Equal(0, BitConverter.SingleToInt32Bits(matrix.Scales[i]) & 0xFFFF);
            float exact = weights.AsSpan(i * 32, 32).ToArray().Max(MathF.Abs) / 127;
            Assert.InRange(Math.Abs(matrix.Scales[i] - exact), 0, exact / 256);        // half of what the last of eight digits is worth
        }
    }

    [Fact]
    public void Quantize_Padding_IsTheZeroPoint() =>
        Assert.All(BlockMatrix.Quantize(WeightModels.Numbers(20), 20, 16).Values.Skip(20), v => Assert.Equal(BlockMatrix.ZeroPoint, v));

    [Fact]
    public void Quantize_BlockOfZeros_StaysZero() => Assert.All(BlockMatrix.Quantize(new float[32], 32, 16).Dequantize(), w => Assert.Equal(0, w));

    [Fact]
    public void Quantize_SmallestNumbers_DoNotWrapAround()
    {
        float[] rounded = BlockMatrix.Quantize([190 * float.Epsilon, -190 * float.Epsilon], 2, 16).Dequantize();
        Assert.True(rounded[0] > 0 && rounded[1] < 0);
    }

    [Fact]
    public void Transpose_Twice_IsTheSame()
    {
        float[] matrix = WeightModels.Numbers(15);
        float[] turned = BlockMatrix.Transpose(matrix, 5);
        Assert.Equal(matrix[1 * 5 + 3], turned[3 * 3 + 1]);
        Assert.Equal(matrix, BlockMatrix.Transpose(turned, 3));
    }

    [Fact]
    public void WithoutPadding_KeepsTheRows()
    {
        var matrix = BlockMatrix.Quantize(WeightModels.Numbers(40), 20, 16);
        Assert.Equal(matrix.Values[32..52], matrix.WithoutPadding()[20..]);
    }
}
