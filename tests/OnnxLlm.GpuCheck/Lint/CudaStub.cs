using System.Runtime.InteropServices;
using OnnxLlm.Runtime;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>The record that the stub of <c>libcudart</c> keeps (tests/gpu/stub).</summary>
internal static unsafe class CudaStub
{
    private static readonly nint Library = NativeLibrary.Load("libcudart.so.13");
    private static readonly delegate* unmanaged<void> ResetRecord = (delegate* unmanaged<void>)NativeLibrary.GetExport(Library, "stub_reset");
    private static readonly delegate* unmanaged<int, long> Counted = (delegate* unmanaged<int, long>)NativeLibrary.GetExport(Library, "stub_counted");
    private static readonly delegate* unmanaged<long> Launched = (delegate* unmanaged<long>)NativeLibrary.GetExport(Library, "stub_launched");
    private static readonly delegate* unmanaged<long, nint> Kernel = (delegate* unmanaged<long, nint>)NativeLibrary.GetExport(Library, "stub_kernel");

    private static readonly delegate* unmanaged<void*, void> WriteWhenCaptured = (delegate* unmanaged<void*, void>)NativeLibrary.GetExport(Library, "stub_write_when_captured");
    private static readonly delegate* unmanaged<void> ForgetWritten = (delegate* unmanaged<void>)NativeLibrary.GetExport(Library, "stub_forget_written");

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
        Allocated,
        Freed,
        Disturbed,
    }

    /// <summary>Calls of a thread while another recorded, since the last reset.</summary>
    public static long Disturbed => Count(Kind.Disturbed);

    /// <summary>Recordings since the last reset.</summary>
    public static long Captured => Count(Kind.Captured);

    /// <summary>Blocks that were taken and not given back since the last reset.</summary>
    public static long Kept => Count(Kind.Allocated) - Count(Kind.Freed);

    public static void Reset() => ResetRecord();

    /// <summary>What <paramref name="action"/> records begins with a byte of each of these buffers altered, as the runs before a recording alter what is updated in place.</summary>
    public static void WritingTo(IEnumerable<TensorBuffer> buffers, Action action)
    {
        foreach (var buffer in buffers) WriteWhenCaptured(buffer.Data);
        try
        {
            action();
        }
        finally
        {
            ForgetWritten();
        }
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
