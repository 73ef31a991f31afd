using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;

namespace OnnxLlm.Graphs.OrtTraining;

/// <summary>Something that a FlatBuffer holds: a scalar, stored in its table, or what a table refers to.</summary>
internal abstract record FlatValue
{
    public static FlatScalar Of(int value) => new(BitConverter.GetBytes(value));

    public static FlatScalar Of(long value) => new(BitConverter.GetBytes(value));

    public static FlatScalar Of(float value) => new(BitConverter.GetBytes(value));

    public static FlatText Of(string value) => new(value);
}

/// <summary>A number, little-endian.</summary>
internal sealed record FlatScalar(ImmutableArray<byte> Bytes) : FlatValue
{
    public FlatScalar(byte[] bytes)
        : this(ImmutableArray.Create(bytes))
    {
    }
}

internal sealed record FlatText(string Value) : FlatValue;

/// <summary>The fields of a table by slot; null leaves the slot at its default.</summary>
internal sealed record FlatTable(params ImmutableArray<FlatValue?> Slots) : FlatValue;

/// <summary>A vector of tables.</summary>
internal sealed record FlatList(ImmutableArray<FlatTable> Items) : FlatValue;

/// <summary>A vector of numbers of <paramref name="Size"/> bytes, little-endian.</summary>
internal sealed record FlatNumbers(int Size, ReadOnlyMemory<byte> Bytes) : FlatValue;

/// <summary>
/// Writes a FlatBuffer, front to back: what refers comes before what it refers to, so that every offset points forward and the file needs no second
/// pass but to fill the offsets in. Numbers are aligned to their size, as the format's verifier demands.
/// </summary>
internal sealed class FlatBufferWriter
{
    private readonly Stream _stream;
    private readonly Queue<(long Field, FlatValue Target)> _pending = [];

    private FlatBufferWriter(Stream stream) => _stream = stream;

    /// <summary>Writes to a stream that can seek, from its beginning.</summary>
    /// <param name="identifier">Four letters that say what the file is.</param>
    public static void Write(Stream stream, string identifier, FlatTable root)
    {
        var writer = new FlatBufferWriter(stream);
        writer.Refer(root);
        writer.Put(Encoding.ASCII.GetBytes(identifier));
        while (writer._pending.TryDequeue(out var next)) writer.Emit(next.Field, next.Target);
    }

    /// <summary>Leaves room for an offset that is filled in when its target is written.</summary>
    private void Refer(FlatValue target)
    {
        _pending.Enqueue((_stream.Position, target));
        Put(stackalloc byte[4]);
    }

    private void Emit(long field, FlatValue target)
    {
        switch (target)
        {
            case FlatTable table: Table(field, table); break;
            case FlatText text: Vector(field, 1, Encoding.UTF8.GetByteCount(text.Value), () => Put([.. Encoding.UTF8.GetBytes(text.Value), 0])); break;
            case FlatNumbers numbers: Vector(field, numbers.Size, numbers.Bytes.Length / numbers.Size, () => Put(numbers.Bytes.Span)); break;
            case FlatList list: Vector(field, 4, list.Items.Length, () => Array.ForEach([.. list.Items], Refer)); break;
            default: throw new GraphException($"A FlatBuffer does not refer to {target}.");
        }
    }

    /// <summary>A count, then the elements, the first of them aligned.</summary>
    private void Vector(long field, int size, int count, Action elements)
    {
        Align(Math.Max(size, 4), ahead: 4);
        Resolve(field);
        PutInt32(count);
        elements();
    }

    /// <summary>The places of the fields, then the fields.</summary>
    private void Table(long field, FlatTable table)
    {
        var (places, size) = Layout(table);
        int head = 4 + 2 * places.Length;
        Align(8, ahead: head);
        PutInt16(head);
        PutInt16(size);
        foreach (int place in places) PutInt16(place);

        long start = _stream.Position;
        Resolve(field);
        PutInt32(head);
        foreach (var (value, place) in table.Slots.Zip(places).Where(f => f.First is not null).OrderBy(f => f.Second))
        {
            Pad(start + place);
            if (value is FlatScalar scalar) Put(scalar.Bytes.AsSpan());
            else Refer(value!);
        }
    }

    /// <summary>Where each slot lies from the table's start, 0 for an absent one, and the table's size.</summary>
    private static (int[] Places, int Size) Layout(FlatTable table)
    {
        int end = 4;
        int[] places = new int[table.Slots.Length];
        foreach (var (i, value) in table.Slots.Index())
        {
            if (value is null) continue;
            int size = value is FlatScalar scalar ? scalar.Bytes.Length : 4;
            places[i] = (end + size - 1) / size * size;
            end = places[i] + size;
        }
        return (places, end);
    }

    private void Resolve(long field)
    {
        long here = _stream.Position;
        if (here - field > int.MaxValue) throw new GraphException("A FlatBuffer cannot pass 2 GiB.");
        _stream.Position = field;
        PutInt32((int)(here - field));
        _stream.Position = here;
    }

    /// <summary>Fills up such that what comes <paramref name="ahead"/> bytes later begins at a multiple of <paramref name="alignment"/>.</summary>
    private void Align(int alignment, int ahead) => Pad((_stream.Position + ahead + alignment - 1) / alignment * alignment - ahead);

    private void Pad(long position)
    {
        while (_stream.Position < position) _stream.WriteByte(0);
    }

    private void PutInt32(int value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        Put(bytes);
    }

    private void PutInt16(int value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteInt16LittleEndian(bytes, (short)value);
        Put(bytes);
    }

    private void Put(ReadOnlySpan<byte> bytes) => _stream.Write(bytes);
}
