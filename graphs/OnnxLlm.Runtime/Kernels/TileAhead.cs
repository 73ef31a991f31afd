using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// What a register tile asks for between its multiplications, a few lines at a time: its own result, which it reads and writes at the end, what is packed and comes next, and what will be packed
/// for the next block.
/// </summary>
internal unsafe struct TileAhead
{
    /// <summary>Asks between the last row of the result and its use: late enough that the first-level cache still has the rows.</summary>
    private const long Lead = 2;

    /// <summary>What is packed and comes next.</summary>
    internal Ahead Packed;

    private NextBlock _block;
    private float* _result;
    private long _stride, _last, _rows, _pause;

    /// <param name="block">What will be packed.</param>
    internal TileAhead(NextBlock block) => _block = block;

    /// <summary>A tile of the result is next.</summary>
    /// <param name="result">First of its rows and columns.</param>
    /// <param name="stride">Floats from one row to the next.</param>
    /// <param name="depth">Steps of the tile.</param>
    internal void Begin(float* result, long stride, long rows, long columns, long depth)
    {
        _result = result;
        (_stride, _last, _rows) = (stride, columns - 1, rows);
        _pause = (depth + ProductTile.StepsPerAsk - 1) / ProductTile.StepsPerAsk - (rows + 1) / 2 - Lead;
    }

    /// <summary>Asks for two lines of the next block, two rows of the result and some of what is packed; called every <see cref="ProductTile.StepsPerAsk"/> steps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Ask(TileAhead* ahead)
    {
        if (!Sse.IsSupported) return;
        NextBlock.AskForLine(&ahead->_block);
        NextBlock.AskForLine(&ahead->_block);
        ahead->Packed.AskFar();
        if (ahead->Pauses()) return;
        ahead->AskForRow();
        ahead->AskForRow();
    }

    /// <summary>Whether it is too early for rows of the result.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool Pauses() => --_pause >= 0;

    /// <summary>The next row of the result; null where none is left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal float* TakeRow()
    {
        if (--_rows < 0) return null;
        float* row = _result;
        _result += _stride;
        return row;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AskForRow()
    {
        float* row = TakeRow();
        if (row == null) return;
        Sse.Prefetch0(row);
        Sse.Prefetch0(row + _last);
    }
}
