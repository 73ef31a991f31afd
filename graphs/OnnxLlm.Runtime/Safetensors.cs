using System.Collections.Immutable;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime;

/// <summary>A tensor to be written: <see cref="Write"/> puts its bytes into the stream, so that nothing has to be held twice.</summary>
public sealed record SafetensorsSource(string Name, ElementType Type, ImmutableArray<long> Shape, Action<Stream> Write)
{
    private const int Chunk = 1 << 26;

    public static SafetensorsSource Of(string name, TensorBuffer buffer) => new(name, buffer.Type, buffer.Shape, stream => Put(buffer, stream));

    public static SafetensorsSource Of(string name, ElementType type, ImmutableArray<long> shape, ReadOnlyMemory<byte> bytes) =>
        new(name, type, shape, stream => stream.Write(bytes.Span));

    internal long Bytes => Shape.Aggregate(1L, (product, size) => product * size) * Type.Size();

    private static void Put(TensorBuffer buffer, Stream stream)
    {
        using TensorBuffer? copy = buffer.Device.IsCuda ? buffer.ToHost() : null;
        Copy(copy ?? buffer, stream);
    }

    private static unsafe void Copy(TensorBuffer buffer, Stream stream)
    {
        for (long start = 0; start < buffer.Bytes; start += Chunk)
            stream.Write(new ReadOnlySpan<byte>(buffer.Data + start, (int)Math.Min(Chunk, buffer.Bytes - start)));
    }
}

/// <summary>Reads and writes the safetensors format of the Hugging Face libraries. All errors are <see cref="ModelRuntimeException"/>s that name the file.</summary>
public static class Safetensors
{
    /// <summary>Maps a file and checks its header; the tensors' values are not looked at.</summary>
    public static SafetensorsFile Open(string path) => new(path);

    /// <summary>
    /// Writes a file atomically. Large element types come first, then names in ordinal order, so every tensor is aligned
    /// and the same tensors give the same bytes in whatever order they are passed.
    /// </summary>
    public static void Write(string path, IEnumerable<SafetensorsSource> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        SafetensorsSource[] sources = [.. tensors.OrderByDescending(source => source.Type.Size()).ThenBy(source => source.Name, StringComparer.Ordinal)];
        RequireUnique(sources);
        var header = new SafetensorsHeader(Layout(sources), metadata?.ToImmutableDictionary() ?? ImmutableDictionary<string, string>.Empty);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header.Serialize());
            foreach (SafetensorsSource source in sources)
                Write(stream, source);
        });
    }

    private static void RequireUnique(SafetensorsSource[] sources)
    {
        if (sources.CountBy(source => source.Name).FirstOrDefault(pair => pair.Value > 1).Key is { } twice)
            throw new ModelRuntimeException($"The tensor {twice} is there twice.");
    }

    internal static ImmutableArray<SafetensorsEntry> Layout(SafetensorsSource[] sources)
    {
        long end = 0;
        return [.. sources.Select(source => new SafetensorsEntry(source.Name, source.Type, source.Shape) { Begin = end, End = end += source.Bytes })];
    }

    private static void Write(Stream stream, SafetensorsSource source)
    {
        long end = stream.Position + source.Bytes;
        source.Write(stream);
        if (stream.Position != end)
            throw new ModelRuntimeException($"The tensor {source.Name} wrote {stream.Position - end + source.Bytes} bytes, its shape needs {source.Bytes}.");
    }
}
