using System.Collections.Immutable;
using System.IO.MemoryMappedFiles;

namespace OnnxLlm.Runtime;

/// <summary>
/// Tensors that live in a safetensors file, mapped for reading and writing: they take working memory only while they are used. What was written is the
/// system's to bring to the disk; it keeps the pages in its cache as long as nobody else needs the memory.
/// The file is a working file without any promise: it ends with this object, and what a killed process left is overwritten.
/// </summary>
public sealed unsafe class MappedTensors : IDisposable
{
    private const int DontNeed = 4, PopulateWrite = 23;    // MADV_DONTNEED, of Linux and macOS, and MADV_POPULATE_WRITE, of Linux since 5.14

    /// <summary>Bytes that a thread brings in at a time.</summary>
    private const long Piece = 4 << 20;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly NativeBlock _block;
    private readonly Dictionary<string, TensorBuffer> _tensors;

    private MappedTensors(FileStream stream, ImmutableArray<SafetensorsEntry> entries, long start, long length)
    {
        _file = MemoryMappedFile.CreateFromFile(stream, null, length, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, length, MemoryMappedFileAccess.ReadWrite);
        byte* data = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref data);
        _block = new NativeBlock(data, _view.SafeMemoryMappedViewHandle.ReleasePointer);
        _tensors = entries.ToDictionary(e => e.Name, e => TensorBuffer.Over(_block, start + e.Begin, e.Type, e.Shape));
    }

    public TensorBuffer this[string name] => _tensors[name];

    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Whether a tensor is one of these, or a view into one.</summary>
    private bool Holds(TensorBuffer tensor) => tensor.Data >= _block.Data && tensor.Data < _block.Data + _view.Capacity;

    /// <summary>
    /// Makes the file, with all tensors zero. The disk's space is taken at once: a disk that is full later would end the process.
    /// </summary>
    public static MappedTensors Create(string path, IEnumerable<SafetensorsEntry> tensors)
    {
        ImmutableArray<SafetensorsEntry> entries = Safetensors.Layout([.. tensors.Select(t => SafetensorsSource.Of(t.Name, t.Type, t.Shape, default(ReadOnlyMemory<byte>)))]);
        byte[] header = new SafetensorsHeader(entries, ImmutableDictionary<string, string>.Empty).Serialize();
        long length = header.Length + (entries.IsEmpty ? 0 : entries[^1].End);
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.ReadWrite, PreallocationSize = length, Options = FileOptions.DeleteOnClose };
            var stream = new FileStream(path, options);
            stream.Write(header);
            stream.Flush();
            return new MappedTensors(stream, entries, header.Length, length);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ModelRuntimeException($"Cannot keep {length} bytes in {path}: {error.Message}", error);
        }
    }

    /// <summary>
    /// Brings those of some tensors that are here into working memory, to be written, in one go: page by page, as they are touched, takes longer. Where the system has no call for that, it
    /// happens then.
    /// </summary>
    public void Fetch(IEnumerable<TensorBuffer> tensors)
    {
        if (!OperatingSystem.IsLinux()) return;
        (nint First, nuint Bytes)[] pieces = [.. tensors.Where(Holds).SelectMany(Pieces)];
        Parallel.ForEach(pieces, piece => _ = NativeHeap.Advise(piece.First, piece.Bytes, PopulateWrite));
    }

    private static IEnumerable<(nint First, nuint Bytes)> Pieces(TensorBuffer tensor)
    {
        (nint first, long bytes) = Pages(tensor);
        for (long at = 0; at < bytes; at += Piece) yield return (first + (nint)at, (nuint)Math.Min(Piece, bytes - at));
    }

    /// <summary>Takes those of some tensors that are here out of working memory until they are used again; their values stay. Windows trims by itself.</summary>
    public void Release(IEnumerable<TensorBuffer> tensors)
    {
        if (OperatingSystem.IsWindows()) return;
        foreach (TensorBuffer tensor in tensors.Where(Holds))
        {
            (nint first, long bytes) = Pages(tensor);
            _ = NativeHeap.Advise(first, (nuint)bytes, DontNeed);
        }
    }

    /// <summary>A tensor, from the beginning of its first page on.</summary>
    private static (nint First, long Bytes) Pages(TensorBuffer tensor)
    {
        nint begin = (nint)tensor.Data, page = Environment.SystemPageSize, first = begin / page * page;
        return (first, begin + tensor.Bytes - first);
    }

    public void Dispose()
    {
        _block.Dispose();
        _view.Dispose();
        _file.Dispose();
    }
}
