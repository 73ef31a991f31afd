using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Temporary memory of parallel parts: rented by a part, given back at its end, reused by whoever comes next, freed with the last node that has a kernel.
/// At most one block per running thread exists. Renting neither locks nor allocates managed memory.
/// </summary>
internal static unsafe class Scratch
{
    private const int Alignment = 4096; // tiles then share neither cache lines nor pages

    private static Slots _free;
    private static int _users;

    [InlineArray(64)]
    private struct Slots
    {
        private nint _first;
    }

    /// <summary>A block begins with its usable size; the data follow after one alignment unit.</summary>
    internal static float* Rent(long floats)
    {
        int small = -1;
        for (int i = 0; i < 64; i++)
        {
            nint block = Interlocked.Exchange(ref _free[i], 0);
            if (block == 0) continue;
            if (*(long*)block >= floats) return Data(block);
            small = i;
            PutBack(block);
        }

        // Sizes grow as kernels come and go: the new block takes the place of one that was too small.
        if (small >= 0) NativeMemory.AlignedFree((void*)Interlocked.Exchange(ref _free[small], 0));
        var fresh = (long*)NativeMemory.AlignedAlloc((nuint)(floats * sizeof(float) + Alignment), Alignment);
        *fresh = floats;
        return Data((nint)fresh);
    }

    internal static void Return(float* data) => PutBack((nint)data - Alignment);

    private static void PutBack(nint block)
    {
        for (int i = 0; i < 64; i++)
            if (Interlocked.CompareExchange(ref _free[i], block, 0) == 0) return;
        NativeMemory.AlignedFree((void*)block);
    }

    /// <summary>A node with a kernel was created.</summary>
    internal static void Enter() => Interlocked.Increment(ref _users);

    /// <summary>A node with a kernel was destroyed.</summary>
    internal static void Leave()
    {
        if (Interlocked.Decrement(ref _users) > 0) return;
        for (int i = 0; i < 64; i++)
            NativeMemory.AlignedFree((void*)Interlocked.Exchange(ref _free[i], 0));
    }

    private static float* Data(nint block) => (float*)(block + Alignment);
}
