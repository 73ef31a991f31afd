using System.Buffers.Binary;
using System.Security.Cryptography;

namespace OnnxLlm.Text.Shards;

/// <summary>One shard while it is written: ids in the narrowest type, and their running checksum.</summary>
internal sealed class ShardFile(string path, int vocabularySize) : IDisposable
{
    private const int IdsAtOnce = 4096;

    private readonly FileStream _file = new(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly int _width = ShardIndex.Width(ShardIndex.TypeFor(vocabularySize));

    public long Tokens { get; private set; }

    public void Write(ReadOnlySpan<int> ids)
    {
        Span<byte> buffer = stackalloc byte[IdsAtOnce * sizeof(uint)];
        for (; ids.Length > 0; ids = ids[Math.Min(ids.Length, IdsAtOnce)..])
        {
            var bytes = buffer[..(Math.Min(ids.Length, IdsAtOnce) * _width)];
            for (int i = 0; i * _width < bytes.Length; i++)
                Put(bytes[(i * _width)..], ids[i]);
            _hash.AppendData(bytes);
            _file.Write(bytes);
            Tokens += bytes.Length / _width;
        }
    }

    /// <summary>Flushes to the disk; returns the SHA-256 of the content.</summary>
    public string Complete()
    {
        _file.Flush(flushToDisk: true);
        return Convert.ToHexStringLower(_hash.GetHashAndReset());
    }

    public void Dispose()
    {
        _file.Dispose();
        _hash.Dispose();
    }

    private void Put(Span<byte> bytes, int id)
    {
        if ((uint)id >= (uint)vocabularySize)
            throw new TextException($"token id {id} is outside the vocabulary of {vocabularySize}");
        if (_width == sizeof(ushort))
            BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)id);
        else
            BinaryPrimitives.WriteInt32LittleEndian(bytes, id);
    }
}
