using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// What is needed next is asked for while something else is computed with, a few lines at a time: a processor waits for some ten lines of memory at once, and who asks for more waits
/// before it goes on.
/// </summary>
/// <param name="times">How often <see cref="Ask"/> is called.</param>
internal unsafe struct Ahead(byte* next, long bytes, long times)
{
    private const long Line = 64;

    private readonly byte* _end = next + bytes;
    private readonly long _step = (bytes + Line * times - 1) / (Line * times) * Line;
    private byte* _next = next;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Ask()
    {
        byte* line = _next, end = End();
        for (; line < end; line += Line) Sse.Prefetch0(line);
        _next = line;
    }

    /// <summary>The same into the second-level cache: what is needed so late that the first one would not keep it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void AskFar()
    {
        byte* line = _next, end = End();
        for (; line < end; line += Line) Sse.Prefetch1(line);
        _next = line;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly byte* End() => _next + _step < _end ? _next + _step : _end;
}
