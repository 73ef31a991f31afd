using System.Runtime.InteropServices;

namespace OnnxLlm.Graphs;

/// <summary>The contents of a constant tensor: little-endian, row-major.</summary>
public sealed record TensorData(ElementType Type, TensorShape Shape, ReadOnlyMemory<byte> Bytes)
{
    public static TensorData Of<T>(ElementType type, TensorShape shape, params ReadOnlySpan<T> values)
        where T : unmanaged
    {
        var data = new TensorData(type, shape, MemoryMarshal.AsBytes(values).ToArray());
        return data.Bytes.Length == shape.ElementCount * type.Size()
            ? data
            : throw new GraphException($"A {type} tensor of shape {shape} needs {shape.ElementCount * type.Size()} bytes, got {data.Bytes.Length}.");
    }

    public static TensorData Int64s(params ReadOnlySpan<long> values) => Of(ElementType.Int64, [values.Length], values);

    /// <summary>A scalar of any float type, rounded to it.</summary>
    public static TensorData Scalar(double value, ElementType type) => type switch
    {
        ElementType.Float => Of(type, [], (float)value),
        ElementType.Double => Of(type, [], value),
        ElementType.Float16 => Of(type, [], (Half)value),
        ElementType.BFloat16 => Of(type, [], (ushort)(BitConverter.SingleToUInt32Bits((float)value) + 0x8000u >> 16)),
        ElementType.Int64 => Of(type, [], (long)value),
        ElementType.Int32 => Of(type, [], (int)value),
        _ => throw new GraphException($"A scalar of type {type} is not supported."),
    };

    public ReadOnlySpan<T> As<T>()
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(Bytes.Span);

    /// <summary>True for a float scalar that holds exactly <paramref name="value"/>.</summary>
    public bool IsScalar(double value) =>
        Shape.Rank == 0 && Type.IsFloat() && Bytes.Span.SequenceEqual(Scalar(value, Type).Bytes.Span);
}
