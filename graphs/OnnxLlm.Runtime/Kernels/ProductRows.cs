namespace OnnxLlm.Runtime.Kernels;

/// <summary>Where the register tile finds the rows of a block of the left operand: in the operand itself, or packed.</summary>
internal unsafe struct ProductRows
{
    /// <summary>Floats.</summary>
    private const long CacheWay = 1024;

    private float* _rows, _last;
    private long _rowStride, _stepStride, _tileStride, _tileRows, _whole;

    /// <summary>
    /// A block stored [rows][steps], read where it lies but for a last tile that is not full. The 12 rows of a tile of AVX-512 are packed where their distance is a
    /// multiple of a cache way (4 KB): they would fall into the same lines of the first-level cache and drive each other, and the right operand, out of it.
    /// </summary>
    /// <param name="scratch">Room for all rows as packed tiles.</param>
    internal static ProductRows Of<T>(float* source, long stride, long steps, long rows, float* scratch) where T : unmanaged, ILanes<T>
    {
        long tileRows = ProductTile.Rows<T>(), whole = rows / tileRows, rest = rows % tileRows, tileStride = ProductPacking.Stride(steps, tileRows);
        bool packed = T.Count == Lanes512.Count && stride % CacheWay == 0;
        float* last = packed ? scratch + whole * tileStride : scratch;
        if (rest > 0) ProductPacking.LastTile(source + whole * tileRows * stride, stride, steps, rest, tileRows, last);
        if (!packed) return new() { _rows = source, _rowStride = stride, _stepStride = 1, _tileStride = tileRows * stride, _tileRows = tileRows, _whole = whole, _last = last };
        for (long tile = 0; tile < whole; tile++) ProductPacking.Tile512(source + tile * tileRows * stride, stride, steps, scratch + tile * tileStride);
        return Packed(scratch, tileRows, tileStride);
    }

    /// <summary>A block stored [steps][rows], packed into scratch.</summary>
    internal static ProductRows Transposed<T>(float* source, long stride, long steps, long rows, long readable, float* scratch) where T : unmanaged, ILanes<T>
    {
        long tileRows = ProductTile.Rows<T>(), tileStride = ProductPacking.Stride(steps, tileRows);
        ProductPacking.Tiles<T>(source, stride, steps, rows, readable, scratch, tileStride);
        return Packed(scratch, tileRows, tileStride);
    }

    private static ProductRows Packed(float* tiles, long tileRows, long tileStride) =>
        new() { _rows = tiles, _rowStride = 1, _stepStride = tileRows, _tileStride = tileStride, _tileRows = tileRows, _whole = long.MaxValue };

    internal readonly float* Tile(long tile, out long rowStride, out long stepStride)
    {
        (rowStride, stepStride) = tile < _whole ? (_rowStride, _stepStride) : (1, _tileRows);
        return tile < _whole ? _rows + tile * _tileStride : _last;
    }
}
