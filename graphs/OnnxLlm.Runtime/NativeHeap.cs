using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime;

/// <summary>
/// How memory that is no longer needed goes back to the system, for processes in which models come and go: mostly how the C library keeps it. Left to itself, GNU's keeps what was freed, in pieces for every thread that ever
/// allocated; and once a large block was freed it takes the next ones from there as well, and clears them, so that caches which are only reserved become resident.
/// Does nothing where the C library is another.
/// </summary>
public static partial class NativeHeap
{
    private const int MmapThreshold = -3, LargeBlock = 1 << 20, HugePages = 14;

    /// <summary>From now on large blocks are pages of the system's own, zero until they are written, and gone when they are freed.</summary>
    public static void KeepLargeBlocksApart() => Try(() => SetOption(MmapThreshold, LargeBlock));

    /// <summary>Gives memory that was freed back to the system. Takes milliseconds.</summary>
    public static void ReturnFreed() => Try(() => Trim(0));

    /// <summary>
    /// Gives back what building and loading graphs has left behind, before memory is needed for running them. How long the collector would let it lie depends on the processor: the garbage
    /// that it waits for is as large as the last-level cache.
    /// </summary>
    public static void ReturnGarbage()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
        ReturnFreed();
    }

    /// <summary>Asks for large pages where memory is touched next; the system may not have any.</summary>
    internal static void PreferLargePages(nint address, long bytes) => Try(() => Advise(address, (nuint)bytes, HugePages));

    private static void Try(Func<int> call)
    {
        if (!OperatingSystem.IsLinux()) return;
        try
        {
            _ = call();
        }
        catch (Exception missing) when (missing is EntryPointNotFoundException or DllNotFoundException)
        {
            // Another C library, with other habits.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetOption(int option, int value);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Trim(nuint keep);

    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Advise(nint address, nuint length, int advice);
}
