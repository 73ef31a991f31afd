using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime;

/// <summary>
/// Replaces a file all at once: the content goes to a temporary file beside it, reaches the disk, and takes the name.
/// A crash at any moment leaves the old content or the new, never a mixture.
/// </summary>
public static partial class AtomicFile
{
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = path + ".tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
            FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Discard(temporary);
            throw new ModelRuntimeException($"Cannot write {path}: {error.Message}", error);
        }
    }

    /// <summary>Makes renames inside a folder durable. Windows has no such call and needs none.</summary>
    public static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        int handle = OpenFolder(folder, 0);
        if (handle < 0) return;
        _ = Synchronize(handle);
        _ = Close(handle);
    }

    /// <summary>A full disk is the likely reason to come here, so the unfinished part must not stay.</summary>
    private static void Discard(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The first error is the one to report.
        }
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFolder(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Synchronize(int handle);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int handle);
}
