using System.Runtime.InteropServices;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>Zeroed memory aligned to 64 bytes (a cache line, an AVX-512 vector). One buffer owns it, any number of views look into it.</summary>
internal sealed unsafe class NativeBlock : IDisposable
{
    private const int Alignment = 64, LargePage = 2 << 20;
    private readonly byte* _data;
    private Action? _free;

    /// <summary>On the CPU the system hands large blocks out as untouched zero pages, so memory that is never written costs nothing.</summary>
    internal NativeBlock(Device device, long bytes)
    {
        Device = device;
        _data = device.IsCuda ? OfDevice(device, bytes, out _free) : OfHost(bytes, Alignment, out _free);
    }

    /// <summary>Memory that someone else made; <paramref name="free"/> gives it back.</summary>
    internal NativeBlock(byte* data, Action free)
    {
        _data = data;
        _free = free;
    }

    /// <summary>Memory of the host that stays where it is, so that a GPU reads and writes it without a detour.</summary>
    internal static NativeBlock ForCopies(Device device, long bytes)
    {
        if (!device.IsCuda) return new NativeBlock(Device.Cpu, bytes);
        CudaRuntime cuda = CudaRuntime.Of(device);
        byte* data = cuda.AllocatePinned(bytes);
        NativeMemory.Clear(data, (nuint)bytes);
        return new NativeBlock(data, () => cuda.FreePinned(data));
    }

    /// <summary>Aligned to large pages, of which the system is asked to make it.</summary>
    internal static NativeBlock InLargePages(Device device, long bytes)
    {
        if (device.IsCuda) return new NativeBlock(device, bytes);
        byte* data = OfHost(bytes, LargePage, out Action free);
        NativeHeap.PreferLargePages((nint)data, bytes);
        return new NativeBlock(data, free);
    }

    internal Device Device { get; } = Device.Cpu;

    internal byte* Data
    {
        get
        {
            ObjectDisposedException.ThrowIf(_free is null, typeof(TensorBuffer));
            return _data;
        }
    }

    public void Dispose()
    {
        _free?.Invoke();
        _free = null;
    }

    private static byte* OfHost(long bytes, int alignment, out Action free)
    {
        void* allocation = NativeMemory.AllocZeroed((nuint)(bytes + alignment));
        free = () => NativeMemory.Free(allocation);
        return (byte*)(((nint)allocation + alignment - 1) & -alignment);
    }

    private static byte* OfDevice(Device device, long bytes, out Action free)
    {
        CudaRuntime cuda = CudaRuntime.Of(device);
        byte* data = cuda.Allocate(bytes);
        free = () => cuda.Free(data);
        return data;
    }
}
