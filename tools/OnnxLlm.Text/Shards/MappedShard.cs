using System.Buffers;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using OnnxLlm.Text.Files;

namespace OnnxLlm.Text.Shards;

/// <summary>A shard file mapped into memory. Files are little-endian, as are all machines that .NET runs on.</summary>
internal sealed class MappedShard : IDisposable
{
    private const int IdsAtOnce = 8192;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly bool _isNarrow;

    private MappedShard(string path, string dtype)
    {
        _isNarrow = ShardIndex.Width(dtype) == sizeof(ushort);
        Tokens = new FileInfo(path).Length / ShardIndex.Width(dtype);
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    public long Tokens { get; }

    /// <summary>Maps a shard after checking its length and checksum against the index.</summary>
    public static MappedShard Open(string folder, ShardEntry entry, string dtype)
    {
        string path = Path.Combine(folder, Path.GetFileName(entry.File));
        long expected = entry.Tokens * ShardIndex.Width(dtype);
        if (!File.Exists(path))
            throw new TextException($"shard {path} is missing");
        if (new FileInfo(path).Length is var length && length != expected)
            throw new TextException($"shard {path} has {length} bytes where its index says {expected}: it is incomplete; make the shards again");
        if (!string.Equals(Checksum.OfFile(path), entry.Sha256, StringComparison.OrdinalIgnoreCase))
            throw new TextException($"shard {path} is corrupt: its checksum is not that of its index; make the shards again");
        return new MappedShard(path, dtype);
    }

    /// <summary>Maps a file of uint16 ids that came without an index.</summary>
    public static MappedShard OpenBare(string path)
    {
        long length = new FileInfo(path).Length;
        return length > 0 && length % sizeof(ushort) == 0 ? new MappedShard(path, "uint16")
            : throw new TextException($"{path} is not a file of uint16 token ids: its length is {length}");
    }

    public void Read(long offset, Span<int> ids)
    {
        var handle = _view.SafeMemoryMappedViewHandle;
        if (_isNarrow)
            ReadNarrow(handle, offset, ids);
        else
            handle.ReadSpan((ulong)offset * sizeof(int), ids);
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    private static void ReadNarrow(SafeBuffer handle, long offset, Span<int> ids)
    {
        ushort[] buffer = ArrayPool<ushort>.Shared.Rent(Math.Min(ids.Length, IdsAtOnce));
        for (int done = 0; done < ids.Length;)
        {
            var narrow = buffer.AsSpan(0, Math.Min(ids.Length - done, buffer.Length));
            handle.ReadSpan((ulong)(offset + done) * sizeof(ushort), narrow);
            for (int i = 0; i < narrow.Length; i++)
                ids[done + i] = narrow[i];
            done += narrow.Length;
        }
        ArrayPool<ushort>.Shared.Return(buffer);
    }
}
