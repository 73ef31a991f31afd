using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime;

/// <summary>A tensor of a safetensors file; offsets in bytes from the end of the header.</summary>
public sealed record SafetensorsEntry(string Name, ElementType Type, ImmutableArray<long> Shape)
{
    internal long Begin { get; init; }

    internal long End { get; init; }
}

/// <summary>
/// The JSON header of a safetensors file: a little-endian 64-bit length, then an object that maps each name to dtype, shape and data_offsets,
/// padded with spaces so that the data starts at a multiple of 8. Reading accepts only what the format allows: the tensors fill the file
/// exactly, without gaps or overlaps.
/// </summary>
internal sealed record SafetensorsHeader(ImmutableArray<SafetensorsEntry> Entries, ImmutableDictionary<string, string> Metadata)
{
    internal const int LengthBytes = 8;
    private const long MaximumLength = 100_000_000; // the limit of the reference implementation
    private const string MetadataKey = "__metadata__";

    private static readonly ImmutableDictionary<string, ElementType> Types = new Dictionary<string, ElementType>
    {
        ["F64"] = ElementType.Double,
        ["F32"] = ElementType.Float,
        ["F16"] = ElementType.Float16,
        ["BF16"] = ElementType.BFloat16,
        ["I64"] = ElementType.Int64,
        ["I32"] = ElementType.Int32,
        ["I8"] = ElementType.Int8,
        ["U8"] = ElementType.UInt8,
        ["BOOL"] = ElementType.Bool,
    }.ToImmutableDictionary();

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>Length of the JSON text, from the first bytes of a file of <paramref name="fileLength"/> bytes.</summary>
    internal static int Length(ReadOnlySpan<byte> start, long fileLength)
    {
        if (start.Length < LengthBytes)
            throw new ModelRuntimeException($"the file is truncated: it has {fileLength} bytes, the header length alone takes {LengthBytes}");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (length > MaximumLength)
            throw new ModelRuntimeException($"this is not a safetensors file: its header would have {length} bytes");
        if (LengthBytes + (long)length > fileLength)
            throw new ModelRuntimeException($"the file is truncated: its header ends at byte {LengthBytes + length}, the file at {fileLength}");
        return (int)length;
    }

    /// <summary>Parses and checks the JSON text of a file with <paramref name="dataLength"/> bytes after it.</summary>
    internal static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long dataLength)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, Strict);
            JsonElement root = document.RootElement;
            var metadata = root.TryGetProperty(MetadataKey, out JsonElement map)
                ? map.EnumerateObject().ToImmutableDictionary(pair => pair.Name, pair => pair.Value.GetString() ?? "")
                : ImmutableDictionary<string, string>.Empty;
            var entries = root.EnumerateObject().Where(pair => pair.Name != MetadataKey).Select(Entry).OrderBy(entry => entry.Begin).ThenBy(entry => entry.End);
            return new SafetensorsHeader(Checked([.. entries], dataLength), metadata);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException or KeyNotFoundException or OverflowException)
        {
            throw new ModelRuntimeException($"the header is corrupt: {error.Message}", error);
        }
    }

    /// <summary>Length and JSON text of a header, padded.</summary>
    internal byte[] Serialize()
    {
        using var stream = new MemoryStream();
        stream.Write(stackalloc byte[LengthBytes]);
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            Write(json);
        while (stream.Length % 8 != 0) stream.WriteByte((byte)' ');
        byte[] bytes = stream.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(bytes, bytes.Length - LengthBytes);
        return bytes;
    }

    private void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (!Metadata.IsEmpty)
        {
            json.WriteStartObject(MetadataKey);
            foreach ((string key, string value) in Metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                json.WriteString(key, value);
            json.WriteEndObject();
        }
        foreach (SafetensorsEntry entry in Entries)
            Write(json, entry);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, SafetensorsEntry entry)
    {
        json.WriteStartObject(entry.Name);
        json.WriteString("dtype", Types.First(pair => pair.Value == entry.Type).Key);
        Write(json, "shape", entry.Shape.AsSpan());
        Write(json, "data_offsets", [entry.Begin, entry.End]);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, ReadOnlySpan<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static SafetensorsEntry Entry(JsonProperty property)
    {
        string type = property.Value.GetProperty("dtype").GetString() ?? "";
        if (!Types.TryGetValue(type, out ElementType elementType))
            throw new FormatException($"{property.Name} has the unsupported dtype '{type}'; supported are {string.Join(", ", Types.Keys.Order(StringComparer.Ordinal))}");
        long[] shape = Numbers(property, "shape");
        long[] offsets = Numbers(property, "data_offsets");
        if (offsets.Length != 2)
            throw new FormatException($"{property.Name} has {offsets.Length} data_offsets");
        return new SafetensorsEntry(property.Name, elementType, [.. shape]) { Begin = offsets[0], End = offsets[1] };
    }

    private static long[] Numbers(JsonProperty property, string name)
    {
        long[] numbers = [.. property.Value.GetProperty(name).EnumerateArray().Select(number => number.GetInt64())];
        return numbers.All(number => number >= 0) ? numbers : throw new FormatException($"{property.Name} has a negative number in {name}");
    }

    private static ImmutableArray<SafetensorsEntry> Checked(ImmutableArray<SafetensorsEntry> entries, long dataLength)
    {
        long end = 0;
        foreach (SafetensorsEntry entry in entries)
        {
            long bytes = checked(entry.Shape.Aggregate(1L, (product, size) => checked(product * size)) * entry.Type.Size());
            if (entry.End - entry.Begin != bytes)
                throw new FormatException($"{entry.Name} needs {bytes} bytes, its data_offsets {entry.Begin} to {entry.End} say otherwise");
            if (entry.Begin != end)
                throw new FormatException($"{entry.Name} starts at byte {entry.Begin}, {(entry.Begin < end ? "inside" : "not at the end of")} the tensor that ends at {end}");
            end = entry.End;
        }
        if (end != dataLength)
            throw new ModelRuntimeException(end > dataLength
                ? $"the file is truncated: its tensors take {end} bytes, {dataLength} are there"
                : $"the file has {dataLength - end} bytes after its last tensor");
        return entries;
    }
}
