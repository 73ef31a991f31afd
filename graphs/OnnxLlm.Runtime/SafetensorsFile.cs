using System.Collections.Immutable;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime;

/// <summary>A safetensors file mapped into memory: only the parts that are read are loaded. Spans end with <see cref="Dispose"/>.</summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly ImmutableDictionary<string, SafetensorsEntry> _byName;
    private readonly string _path;
    private byte* _data; // first byte after the header

    internal SafetensorsFile(string path)
    {
        _path = path;
        SafetensorsHeader header = ReadHeader(path, out long dataOffset);
        (Entries, Metadata) = (header.Entries, header.Metadata);
        _byName = Entries.ToImmutableDictionary(entry => entry.Name);
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _data = start + dataOffset;
    }

    /// <summary>In the order of their data.</summary>
    public ImmutableArray<SafetensorsEntry> Entries { get; }

    public ImmutableDictionary<string, string> Metadata { get; }

    public bool Contains(string name) => _byName.ContainsKey(name);

    public SafetensorsEntry this[string name] => _byName.TryGetValue(name, out SafetensorsEntry? entry)
        ? entry
        : throw new ModelRuntimeException($"{_path} has no tensor {name}.");

    /// <summary>Data of a tensor of less than 2 GB, whatever its type.</summary>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        SafetensorsEntry entry = this[name];
        return new ReadOnlySpan<byte>(At(entry), checked((int)(entry.End - entry.Begin)));
    }

    /// <summary>The same as memory, which is not copied: it ends with the file.</summary>
    public ReadOnlyMemory<byte> Memory(string name)
    {
        SafetensorsEntry entry = this[name];
        return new MappedMemory(At(entry), checked((int)(entry.End - entry.Begin))).Memory;
    }

    /// <summary>Elements of a tensor; <typeparamref name="T"/> must have the size of its type.</summary>
    public ReadOnlySpan<T> Span<T>(string name) where T : unmanaged => sizeof(T) == this[name].Type.Size()
        ? MemoryMarshal.Cast<byte, T>(Bytes(name))
        : throw new ModelRuntimeException($"{name} in {_path} holds {this[name].Type}, not {typeof(T).Name}.");

    /// <summary>Copies a tensor into a buffer of its type and shape.</summary>
    public void Read(string name, TensorBuffer target)
    {
        SafetensorsEntry entry = this[name];
        if (entry.Type != target.Type || !entry.Shape.AsSpan().SequenceEqual(target.Shape.AsSpan()))
            throw new ModelRuntimeException($"{name} in {_path} is {entry.Type}{TensorInfo.Text(entry.Shape)}, expected {target.Type}{TensorInfo.Text(target.Shape)}.");
        target.CopyFrom(At(entry));
    }

    public void Dispose()
    {
        if (_data == null) return;
        _data = null;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    private byte* At(SafetensorsEntry entry)
    {
        ObjectDisposedException.ThrowIf(_data == null, this);
        return _data + entry.Begin;
    }

    private static SafetensorsHeader ReadHeader(string path, out long dataOffset)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            Span<byte> start = stackalloc byte[SafetensorsHeader.LengthBytes];
            int length = SafetensorsHeader.Length(start[..stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)], stream.Length);
            byte[] json = new byte[length];
            stream.ReadExactly(json);
            dataOffset = SafetensorsHeader.LengthBytes + length;
            return SafetensorsHeader.Parse(json, stream.Length - dataOffset);
        }
        catch (Exception error) when (error is ModelRuntimeException or IOException or UnauthorizedAccessException)
        {
            throw new ModelRuntimeException($"Cannot read {path}: {error.Message}{(error is ModelRuntimeException ? "." : "")}", error);
        }
    }
}
