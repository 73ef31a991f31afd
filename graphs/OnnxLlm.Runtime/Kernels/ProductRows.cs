namespace OnnxLlm.Runtime.Kernels;

/// <summary>Where the register tile finds the rows of a block of the left operand: in the operand itself, or packed.</summary>
internal unsafe struct ProductRows
{
    private float* _rows, _last;
    private long _rowStride, _stepStride, _tileStride, _whole;

    /// <summary>A block stored [rows][steps]; only a last tile that is not full is packed.</summary>
    internal static ProductRows InOrder(float* source, long stride, long steps, long rows, float* scratch)
    {
        long whole = rows / ProductTile.Rows, rest = rows % ProductTile.Rows;
        if (rest > 0) ProductPacking.LastTile(source + whole * ProductTile.Rows * stride, stride, steps, rest, scratch);
        return new() { _rows = source, _rowStride = stride, _stepStride = 1, _tileStride = ProductTile.Rows * stride, _whole = whole, _last = scratch };
    }

    /// <summary>A block stored [steps][rows], packed into scratch.</summary>
    internal static ProductRows Transposed<T>(float* source, long stride, long steps, long rows, long readable, float* scratch) where T : unmanaged, ILanes<T>
    {
        long tileStride = ProductPacking.Stride(steps, ProductTile.Rows);
        ProductPacking.Tiles<T>(source, stride, steps, rows, readable, scratch, tileStride);
        return new() { _rows = scratch, _rowStride = 1, _stepStride = ProductTile.Rows, _tileStride = tileStride, _whole = long.MaxValue };
    }

    internal readonly float* Tile(long tile, out long rowStride, out long stepStride)
    {
        (rowStride, stepStride) = tile < _whole ? (_rowStride, _stepStride) : (1, ProductTile.Rows);
        return tile < _whole ? _rows + tile * _tileStride : _last;
    }
}
