using System.Collections.Immutable;
using System.Text;

namespace OnnxLlm.Runtime.Devices;

/// <summary>One GPU as its driver describes it.</summary>
/// <param name="Capability">Compute capability, such as 9.0.</param>
public sealed record CudaDevice(string Name, long MemoryBytes, Version Capability, int Multiprocessors);

/// <summary>What the NVIDIA driver, <c>libcuda.so.1</c>, says of itself and its GPUs.</summary>
/// <param name="Version">The newest CUDA version that it can run, such as 13.0.</param>
public sealed unsafe record CudaDriver(Version Version, ImmutableArray<CudaDevice> Devices)
{
    internal const string Library = "libcuda.so.1";

    private const int Multiprocessors = 16, CapabilityMajor = 75, CapabilityMinor = 76, NameLength = 256;

    /// <summary>Null where there is no driver. A driver that refuses to start has no devices.</summary>
    public static CudaDriver? Read()
    {
        if (NativeLibraries.Find(Library) == 0) return null;
        int number = 0, count = 0;
        var init = (delegate* unmanaged<uint, int>)Address("cuInit");
        var version = (delegate* unmanaged<int*, int>)Address("cuDriverGetVersion");
        var countDevices = (delegate* unmanaged<int*, int>)Address("cuDeviceGetCount");
        if (version(&number) != 0) number = 0;
        if (init(0) != 0 || countDevices(&count) != 0) count = 0;
        return new(VersionOf(number), [.. Enumerable.Range(0, count).Select(Describe)]);
    }

    /// <summary>CUDA writes 13.1 as 13010.</summary>
    internal static Version VersionOf(int number) => new(number / 1000, number % 1000 / 10);

    private static CudaDevice Describe(int ordinal)
    {
        int device = 0;
        nuint bytes = 0;
        byte* name = stackalloc byte[NameLength];
        ((delegate* unmanaged<int*, int, int>)Address("cuDeviceGet"))(&device, ordinal);
        ((delegate* unmanaged<byte*, int, int, int>)Address("cuDeviceGetName"))(name, NameLength, device);
        ((delegate* unmanaged<nuint*, int, int>)Address("cuDeviceTotalMem_v2"))(&bytes, device);
        string text = Encoding.UTF8.GetString(name, new ReadOnlySpan<byte>(name, NameLength).IndexOf((byte)0));
        return new(text, (long)bytes, new(Attribute(device, CapabilityMajor), Attribute(device, CapabilityMinor)), Attribute(device, Multiprocessors));
    }

    private static int Attribute(int device, int which)
    {
        int value = 0;
        ((delegate* unmanaged<int*, int, int, int>)Address("cuDeviceGetAttribute"))(&value, which, device);
        return value;
    }

    private static nint Address(string function) => NativeLibraries.Function(Library, function) is var address and not 0
        ? address
        : throw new ModelRuntimeException($"{Library} has no function {function}: it is not NVIDIA's driver, or far too old.");
}
