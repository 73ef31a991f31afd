using System.Runtime.InteropServices;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>The record that the stub of <c>libcudart</c> keeps (tests/gpu/stub).</summary>
internal static unsafe class CudaStub
{
    private static readonly nint Library = NativeLibrary.Load("libcudart.so.13");
    private static readonly delegate* unmanaged<void> ResetRecord = (delegate* unmanaged<void>)NativeLibrary.GetExport(Library, "stub_reset");
    private static readonly delegate* unmanaged<int, long> Counted = (delegate* unmanaged<int, long>)NativeLibrary.GetExport(Library, "stub_counted");
    private static readonly delegate* unmanaged<long> Launched = (delegate* unmanaged<long>)NativeLibrary.GetExport(Library, "stub_launched");
    private static readonly delegate* unmanaged<long, nint> Kernel = (delegate* unmanaged<long, nint>)NativeLibrary.GetExport(Library, "stub_kernel");

    /// <summary>In the order of the stub's enumeration.</summary>
    private enum Kind
    {
        ToDevice,
        ToHost,
        OnDevice,
        Other,
        Synchronised,
        Launched,
        Captured,
        Replayed,
    }

    /// <summary>What <paramref name="action"/> makes the provider do.</summary>
    public static Activity During(Action action)
    {
        ResetRecord();
        action();
        var kernels = Enumerable.Range(0, (int)Launched()).Select(i => Marshal.PtrToStringUTF8(Kernel(i)) ?? "").CountBy(name => name);
        return new Activity
        {
            ToDevice = Count(Kind.ToDevice) + Count(Kind.Other),
            ToHost = Count(Kind.ToHost),
            OnDevice = Count(Kind.OnDevice),
            Synchronised = Count(Kind.Synchronised),
            Launched = Count(Kind.Launched),
            Captured = Count(Kind.Captured),
            Replayed = Count(Kind.Replayed),
            Kernels = kernels.OrderBy(k => k.Key, StringComparer.Ordinal).ToDictionary(k => k.Key, k => k.Value),
        };
    }

    private static long Count(Kind kind) => Counted((int)kind);
}
