using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

public sealed class TensorBufferTests
{
    [Fact]
    public void Zeros_AnyShape_IsAlignedAndZero()
    {
        using var buffer = TensorBuffer.Zeros(ElementType.Float, 3, 5);
        Assert.Equal(15, buffer.Count);
        Assert.Equal(60, buffer.Bytes);
        Assert.Equal(new float[15], buffer.Span<float>());
        unsafe
        {
            Assert.Equal(0, (nint)buffer.Data % 64);
        }
    }

    [Fact]
    public void Rows_OfMatrix_SharesItsMemory()
    {
        using var buffer = TensorBuffer.Of([0f, 1, 2, 3, 4, 5], 3, 2);
        TensorBuffer rows = buffer.Rows(1, 2);
        Assert.Equal<long>([2, 2], rows.Shape);
        rows.Span<float>()[0] = 9;
        Assert.Equal([0f, 1, 9, 3, 4, 5], buffer.Span<float>());
    }

    [Fact]
    public void View_OfView_AddsOffsets()
    {
        using var buffer = TensorBuffer.Of([0L, 1, 2, 3, 4, 5], 6);
        Assert.Equal([4L, 5L], buffer.View(2, 4).View(2, 2).Span<long>());
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(2, 2)]
    [InlineData(0, 4)]
    public void Rows_OutsideTheBuffer_Throws(long start, long count)
    {
        using var buffer = TensorBuffer.Zeros(ElementType.Float, 3, 2);
        Assert.Throws<ModelRuntimeException>(() => buffer.Rows(start, count));
    }

    [Fact]
    public void View_AfterOwnerDisposed_Throws()
    {
        var buffer = TensorBuffer.Zeros(ElementType.Float, 2);
        TensorBuffer view = buffer.View(0, 2);
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => view.RawBytes().Clear());
    }

    [Fact]
    public void Dispose_OfView_LeavesTheOwner()
    {
        using var buffer = TensorBuffer.Of([7], 1);
        buffer.View(0, 1).Dispose();
        Assert.Equal(7, buffer.Span<int>()[0]);
    }

    [Fact]
    public void Span_OfAnotherType_NamesBoth()
    {
        using var buffer = TensorBuffer.Of([true, false], 2);
        var error = Assert.Throws<ModelRuntimeException>(() => buffer.Span<float>().Clear());
        Assert.Contains("Bool", error.Message, StringComparison.Ordinal);
        Assert.Contains("Single", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_WrongCount_Throws() => Assert.Throws<ModelRuntimeException>(() => TensorBuffer.Of([1f, 2f], 3));

    [Fact]
    public void CopyFrom_SameShape_CopiesEverything()
    {
        using var source = TensorBuffer.Of([1.5, 2.5], 2);
        using var target = TensorBuffer.Zeros(ElementType.Double, 2);
        target.CopyFrom(source);
        Assert.Equal([1.5, 2.5], target.Span<double>());
    }
}
