using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime;

/// <summary>Zeroed native memory aligned to 64 bytes (a cache line, an AVX-512 vector). One buffer owns it, any number of views look into it.</summary>
internal sealed unsafe class NativeBlock : IDisposable
{
    private const int Alignment = 64;
    private void* _allocation;
    private readonly byte* _data;

    /// <summary>The system hands large blocks out as untouched zero pages, so memory that is never written costs nothing.</summary>
    internal NativeBlock(long bytes)
    {
        _allocation = NativeMemory.AllocZeroed((nuint)bytes + Alignment);
        _data = (byte*)(((nint)_allocation + Alignment - 1) & -Alignment);
    }

    internal byte* Data
    {
        get
        {
            ObjectDisposedException.ThrowIf(_allocation == null, typeof(TensorBuffer));
            return _data;
        }
    }

    public void Dispose()
    {
        NativeMemory.Free(_allocation);
        _allocation = null;
    }
}
