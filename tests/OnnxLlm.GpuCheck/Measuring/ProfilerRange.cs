using System.Runtime.InteropServices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>What a profiler of kernels is to look at, where it was told to wait for this mark. Without CUDA it marks nothing.</summary>
internal sealed class ProfilerRange : IDisposable
{
    private ProfilerRange() => Call("cudaProfilerStart");

    public static ProfilerRange Begin() => new();

    public void Dispose()
    {
        Call("cudaDeviceSynchronize");
        Call("cudaProfilerStop");
    }

    private static unsafe void Call(string function)
    {
        if (NativeLibrary.TryLoad("libcudart.so.13", out nint library) && NativeLibrary.TryGetExport(library, function, out nint address))
            ((delegate* unmanaged<int>)address)();
    }
}
