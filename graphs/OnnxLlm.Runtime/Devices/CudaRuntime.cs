using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Devices;

/// <summary>
/// Memory and copies of one GPU, through the same <c>libcudart</c> that the provider is linked to. All sessions and copies of a process use one stream,
/// so they happen in the order of the calls; only what is read back to the host is waited for. While that stream records, no other thread may ask the
/// device for anything, which its <see cref="CudaGate"/> sees to.
/// </summary>
internal sealed unsafe class CudaRuntime
{
    private const string Library = "libcudart.so.13";
    private const uint NonBlocking = 1;

    private enum Direction
    {
        ToDevice = 1,
        ToHost = 2,
        OnDevice = 3,
    }

    private static readonly ConcurrentDictionary<int, Lazy<CudaRuntime>> Devices = [];

    private readonly delegate* unmanaged<void**, nuint, int> _malloc = (delegate* unmanaged<void**, nuint, int>)Address("cudaMalloc");
    private readonly delegate* unmanaged<void*, int> _free = (delegate* unmanaged<void*, int>)Address("cudaFree");
    private readonly delegate* unmanaged<void**, nuint, uint, int> _hostAlloc = (delegate* unmanaged<void**, nuint, uint, int>)Address("cudaHostAlloc");
    private readonly delegate* unmanaged<void*, int> _freeHost = (delegate* unmanaged<void*, int>)Address("cudaFreeHost");
    private readonly delegate* unmanaged<void*, int, nuint, nint, int> _set = (delegate* unmanaged<void*, int, nuint, nint, int>)Address("cudaMemsetAsync");
    private readonly delegate* unmanaged<void*, void*, nuint, int, nint, int> _copy = (delegate* unmanaged<void*, void*, nuint, int, nint, int>)Address("cudaMemcpyAsync");
    private readonly delegate* unmanaged<nint, int> _synchronize = (delegate* unmanaged<nint, int>)Address("cudaStreamSynchronize");
    private readonly delegate* unmanaged<int, int> _select = (delegate* unmanaged<int, int>)Address("cudaSetDevice");
    private readonly int _ordinal;

    private CudaRuntime(int ordinal)
    {
        _ordinal = ordinal;
        Select();
        nint stream;
        Check("creating a stream", ((delegate* unmanaged<nint*, uint, int>)Address("cudaStreamCreateWithFlags"))(&stream, NonBlocking));
        Stream = stream;
    }

    /// <summary>Where everything of this process is queued; it lives as long as the process.</summary>
    public nint Stream { get; }

    /// <summary>Held alone by who records, together by everybody else who uses the device.</summary>
    public CudaGate Gate { get; } = new();

    /// <exception cref="ModelRuntimeException">The device cannot be used; the message says why.</exception>
    public static CudaRuntime Of(Device device) => Devices.GetOrAdd(device.Ordinal, ordinal => new(() =>
    {
        device.Require();
        return new CudaRuntime(ordinal);
    })).Value;

    /// <summary>Zeroed memory of the device, aligned to 256 bytes.</summary>
    public byte* Allocate(long bytes)
    {
        void* data;
        using var held = Gate.Together();
        Select();
        Check($"Failed to allocate memory for {bytes} bytes on cuda:{_ordinal}", _malloc(&data, (nuint)Math.Max(bytes, 1)));
        Check("clearing memory", _set(data, 0, (nuint)bytes, Stream));
        return (byte*)data;
    }

    /// <summary>Waits first: what is queued may still use the memory.</summary>
    public void Free(byte* data)
    {
        using var held = Gate.Together();
        Wait();
        _ = _free(data);
    }

    public byte* AllocatePinned(long bytes)
    {
        void* data;
        using var held = Gate.Together();
        Select();
        Check($"allocating {bytes} bytes that the GPU can reach", _hostAlloc(&data, (nuint)Math.Max(bytes, 1), 0));
        return (byte*)data;
    }

    public void FreePinned(byte* data)
    {
        using var held = Gate.Together();
        Wait();
        _ = _freeHost(data);
    }

    /// <summary>Queued behind everything before it. Returns when the host may read what was copied to it.</summary>
    public void Copy(byte* to, Device toDevice, byte* from, Device fromDevice, long bytes)
    {
        using var held = Gate.Together();
        Select();
        Direction direction = !toDevice.IsCuda ? Direction.ToHost : fromDevice.IsCuda ? Direction.OnDevice : Direction.ToDevice;
        Check($"copying {bytes} bytes", _copy(to, from, (nuint)bytes, (int)direction, Stream));
        if (direction == Direction.ToHost) Wait();
    }

    /// <summary>Until everything queued is done. A kernel's fault shows here.</summary>
    private void Wait()
    {
        Select();
        Check("waiting for the GPU", _synchronize(Stream));
    }

    /// <summary>The current device belongs to a thread.</summary>
    private void Select() => Check($"choosing cuda:{_ordinal}", _select(_ordinal));

    private static void Check(string what, int status)
    {
        if (status == 0) return;
        var text = (delegate* unmanaged<int, nint>)Address("cudaGetErrorString");
        throw new ModelRuntimeException($"{what}: {Marshal.PtrToStringUTF8(text(status))} (CUDA error {status})");
    }

    private static nint Address(string function) => NativeLibraries.Function(Library, function) is var address and not 0
        ? address
        : throw new ModelRuntimeException($"{Library} has no function {function}; install the CUDA 13 runtime libraries.");
}
