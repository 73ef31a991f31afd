namespace OnnxLlm.Runtime.Devices;

/// <summary>What a GPU is doing. A value is null where the driver does not tell it.</summary>
/// <param name="Utilization">Share of the last moments in which some kernel ran, 0 to 1.</param>
/// <param name="MemoryBytes">Memory in use, by whomever.</param>
/// <param name="Watts">Power drawn now.</param>
/// <param name="Joules">Energy since the monitor was opened.</param>
public sealed record GpuUse(double? Utilization, long? MemoryBytes, double? Watts, double? Joules);

/// <summary>Reads a GPU's instruments through NVML, the driver's library for that. A machine without it is monitored as if it told nothing.</summary>
public sealed unsafe class GpuMonitor
{
    private const string Library = "libnvidia-ml.so.1";
    private const int BusIdLength = 32;

    private readonly nint _gpu;
    private readonly double? _joules;

    private GpuMonitor(nint gpu)
    {
        _gpu = gpu;
        _joules = Joules();
    }

    private struct Rates
    {
        public uint Kernels, Memory;
    }

    private struct Memory
    {
        public ulong Total, Free, Used;
    }

    /// <summary>Null where the device is no GPU, or nothing can be read of it.</summary>
    public static GpuMonitor? Open(Device device)
    {
        if (!device.IsCuda || Function("nvmlInit_v2") is not (var init and not 0) || ((delegate* unmanaged<int>)init)() != 0) return null;
        return Handle(device) is var gpu and not 0 ? new GpuMonitor(gpu) : null;
    }

    public GpuUse Read()
    {
        Rates rates;
        Memory memory;
        uint milliwatts;
        return new(
            Ask("nvmlDeviceGetUtilizationRates", &rates) ? rates.Kernels / 100.0 : null,
            Ask("nvmlDeviceGetMemoryInfo", &memory) ? (long)memory.Used : null,
            Ask("nvmlDeviceGetPowerUsage", &milliwatts) ? milliwatts / 1e3 : null,
            Joules() - _joules);
    }

    private double? Joules()
    {
        ulong millijoules;
        return Ask("nvmlDeviceGetTotalEnergyConsumption", &millijoules) ? millijoules / 1e3 : null;
    }

    private bool Ask(string function, void* answer) =>
        Function(function) is var address and not 0 && ((delegate* unmanaged<nint, void*, int>)address)(_gpu, answer) == 0;

    /// <summary>By its place on the bus: NVML numbers all GPUs of the machine, CUDA those that are visible.</summary>
    private static nint Handle(Device device)
    {
        nint find = Function("nvmlDeviceGetHandleByPciBusId_v2"), busOf = NativeLibraries.Function(CudaDriver.Library, "cuDeviceGetPCIBusId");
        if (find == 0 || busOf == 0) return 0;
        byte* bus = stackalloc byte[BusIdLength];
        nint gpu = 0;
        if (((delegate* unmanaged<byte*, int, int, int>)busOf)(bus, BusIdLength, device.Ordinal) != 0) return 0;
        return ((delegate* unmanaged<byte*, nint*, int>)find)(bus, &gpu) == 0 ? gpu : 0;
    }

    private static nint Function(string name) => NativeLibraries.Function(Library, name);
}
