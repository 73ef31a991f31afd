using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The lines of memory that a thread reads after the block that it multiplies: runs of the left operand. They are asked for one at a time between multiplications, because a core waits
/// for no more than some ten of them at once.
/// </summary>
internal unsafe struct NextBlock
{
    /// <summary>Floats.</summary>
    internal const long Line = 16;

    private readonly long _linesOfRun, _toNextRun;
    private float* _line;
    private long _leftOfRun, _left;

    /// <param name="first">First float.</param>
    /// <param name="runs">Number of runs.</param>
    /// <param name="run">Floats of a run.</param>
    /// <param name="stride">Floats from one run to the next.</param>
    internal NextBlock(float* first, long runs, long run, long stride)
    {
        _line = first;
        _linesOfRun = _leftOfRun = (run + Line - 1) / Line;
        _toNextRun = stride - _linesOfRun * Line;
        _left = runs * _linesOfRun;
    }

    /// <summary>Asks for the next line, if any is left, into the second-level cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void AskForLine(NextBlock* block)
    {
        if (Sse.IsSupported && block->_left > 0) Sse.Prefetch1(block->TakeLine());
    }

    /// <summary>The next of the lines that are left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal float* TakeLine()
    {
        float* line = _line;
        _left--;
        _line += Line;
        if (--_leftOfRun > 0) return line;
        _leftOfRun = _linesOfRun;
        _line += _toNextRun;
        return line;
    }
}
