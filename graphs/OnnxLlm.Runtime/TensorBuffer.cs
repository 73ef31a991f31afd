using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// A tensor in native memory, aligned to 64 bytes, or in that of a GPU, which only sessions and copies can reach. Whoever creates one disposes it; there is no finalizer.
/// A view shares its owner's memory: disposing the view does nothing, and after the owner is disposed every use of a view throws.
/// Not safe to dispose while a session runs on it.
/// </summary>
public sealed unsafe class TensorBuffer : IDisposable
{
    private readonly NativeBlock _block;
    private readonly long _offset; // bytes
    private readonly bool _owns;

    private TensorBuffer(NativeBlock block, long offset, bool owns, ElementType type, ImmutableArray<long> shape)
    {
        (_block, _offset, _owns, Type, Shape) = (block, offset, owns, type, shape);
        Count = CountOf(shape.AsSpan());
    }

    /// <summary>Where the memory is.</summary>
    public Device Device => _block.Device;

    public ElementType Type { get; }

    public ImmutableArray<long> Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Size in bytes.</summary>
    public long Bytes => Count * Type.Size();

    /// <summary>Address of the first element; throws once the memory is gone.</summary>
    internal byte* Data => _block.Data + _offset;

    public static TensorBuffer Zeros(ElementType type, params ReadOnlySpan<long> shape) => Zeros(Device.Cpu, type, shape);

    public static TensorBuffer Zeros(Device device, ElementType type, params ReadOnlySpan<long> shape)
    {
        long bytes = checked(CountOf(shape) * type.Size());
        return new TensorBuffer(new NativeBlock(device, bytes), 0, true, type, [.. shape]);
    }

    /// <summary>As <see cref="Zeros(Device, ElementType, ReadOnlySpan{long})"/>, for memory that will be used to its end, or not at all: the system gives it out in large pages where it can.</summary>
    public static TensorBuffer InLargePages(Device device, ElementType type, params ReadOnlySpan<long> shape)
    {
        long bytes = checked(CountOf(shape) * type.Size());
        return new TensorBuffer(NativeBlock.InLargePages(device, bytes), 0, true, type, [.. shape]);
    }

    /// <summary>A buffer of the host from which and to which <paramref name="device"/> copies fastest.</summary>
    public static TensorBuffer ForCopies(Device device, ElementType type, params ReadOnlySpan<long> shape)
    {
        long bytes = checked(CountOf(shape) * type.Size());
        return new TensorBuffer(NativeBlock.ForCopies(device, bytes), 0, true, type, [.. shape]);
    }

    /// <summary>A view of memory that is not a buffer's; its owner disposes <paramref name="block"/>.</summary>
    internal static TensorBuffer Over(NativeBlock block, long offset, ElementType type, ImmutableArray<long> shape) => new(block, offset, false, type, shape);

    /// <summary>A buffer with a copy of <paramref name="data"/>, whose length must be the shape's element count.</summary>
    public static TensorBuffer Of(ReadOnlySpan<float> data, params ReadOnlySpan<long> shape) => Copy(ElementType.Float, data, shape);

    /// <inheritdoc cref="Of(ReadOnlySpan{float}, ReadOnlySpan{long})"/>
    public static TensorBuffer Of(ReadOnlySpan<double> data, params ReadOnlySpan<long> shape) => Copy(ElementType.Double, data, shape);

    /// <inheritdoc cref="Of(ReadOnlySpan{float}, ReadOnlySpan{long})"/>
    public static TensorBuffer Of(ReadOnlySpan<long> data, params ReadOnlySpan<long> shape) => Copy(ElementType.Int64, data, shape);

    /// <inheritdoc cref="Of(ReadOnlySpan{float}, ReadOnlySpan{long})"/>
    public static TensorBuffer Of(ReadOnlySpan<int> data, params ReadOnlySpan<long> shape) => Copy(ElementType.Int32, data, shape);

    /// <inheritdoc cref="Of(ReadOnlySpan{float}, ReadOnlySpan{long})"/>
    public static TensorBuffer Of(ReadOnlySpan<bool> data, params ReadOnlySpan<long> shape) => Copy(ElementType.Bool, data, shape);

    /// <summary>All elements; <typeparamref name="T"/> must be the element type (ushort or Half for the 16-bit floats).</summary>
    public Span<T> Span<T>() where T : unmanaged
    {
        if (!Holds<T>())
            throw new ModelRuntimeException($"A buffer of {Type} cannot be read as {typeof(T).Name}.");
        return new Span<T>(HostData, Length(Count));
    }

    /// <summary>The memory as bytes, whatever the element type.</summary>
    public Span<byte> RawBytes() => new(HostData, Length(Bytes));

    /// <summary>View of <paramref name="count"/> rows of the first dimension.</summary>
    public TensorBuffer Rows(long start, long count)
    {
        if (Shape.IsEmpty || start < 0 || count < 0 || start > Shape[0] - count)
            throw new ModelRuntimeException($"Rows {start} to {start + count} are not in a buffer of shape {TensorInfo.Text(Shape)}.");
        long row = Shape[0] == 0 ? 0 : Count / Shape[0];
        return View(start * row, [count, .. Shape.AsSpan()[1..]]);
    }

    /// <summary>View of the elements from <paramref name="offset"/> on, read in another shape.</summary>
    public TensorBuffer View(long offset, params ReadOnlySpan<long> shape)
    {
        Require(offset, CountOf(shape));
        return new TensorBuffer(_block, _offset + offset * Type.Size(), false, Type, [.. shape]);
    }

    /// <summary>Bytes of as many of the first elements as fill a shape.</summary>
    internal long BytesOf(ReadOnlySpan<long> shape)
    {
        long count = CountOf(shape);
        Require(0, count);
        return count * Type.Size();
    }

    /// <summary>
    /// Copies all elements of a buffer of the same type and count; the two may overlap. Between a GPU and the host it waits for what was queued before;
    /// a copy into a GPU may still be under way when it returns, so memory made by <see cref="ForCopies"/> must stay as it is until something was read back.
    /// </summary>
    public void CopyFrom(TensorBuffer source)
    {
        if (source.Type != Type || source.Count != Count)
            throw new ModelRuntimeException($"Cannot copy {source.Count} of {source.Type} into {Count} of {Type}.");
        CopyFrom(source.Data, source.Device);
    }

    /// <summary>Fills the buffer from the host's memory.</summary>
    internal void CopyFrom(byte* source) => CopyFrom(source, Device.Cpu);

    /// <summary>A copy in the host's memory, for the caller to dispose.</summary>
    public TensorBuffer ToHost()
    {
        TensorBuffer copy = Zeros(Type, Shape.AsSpan());
        copy.CopyFrom(this);
        return copy;
    }

    public void Dispose()
    {
        if (_owns) _block.Dispose();
    }

    private static TensorBuffer Copy<T>(ElementType type, ReadOnlySpan<T> data, ReadOnlySpan<long> shape) where T : unmanaged
    {
        if (data.Length != CountOf(shape))
            throw new ModelRuntimeException($"{data.Length} values do not fill the shape {TensorInfo.Text([.. shape])}.");
        TensorBuffer buffer = Zeros(type, shape);
        data.CopyTo(buffer.Span<T>());
        return buffer;
    }

    private void CopyFrom(byte* source, Device place)
    {
        if (Device.IsCuda || place.IsCuda) CudaRuntime.Of(Device.IsCuda ? Device : place).Copy(Data, Device, source, place, Bytes);
        else Buffer.MemoryCopy(source, Data, Bytes, Bytes);
    }

    private void Require(long offset, long count)
    {
        if (offset < 0 || offset > Count - count) throw new ModelRuntimeException($"Elements {offset} to {offset + count} are not in a buffer of {Count}.");
    }

    private byte* HostData => Device.IsCuda ? throw new ModelRuntimeException($"A buffer on {Device} cannot be read or written from the host; copy it.") : Data;

    private bool Holds<T>() => Type switch
    {
        ElementType.Float => typeof(T) == typeof(float),
        ElementType.Double => typeof(T) == typeof(double),
        ElementType.Int64 => typeof(T) == typeof(long),
        ElementType.Int32 => typeof(T) == typeof(int),
        ElementType.Bool => typeof(T) == typeof(bool),
        ElementType.UInt8 => typeof(T) == typeof(byte),
        ElementType.Int8 => typeof(T) == typeof(sbyte),
        ElementType.Float16 => typeof(T) == typeof(Half) || typeof(T) == typeof(ushort),
        ElementType.BFloat16 => typeof(T) == typeof(ushort),
        _ => false,
    };

    private static int Length(long count) => count <= int.MaxValue
        ? (int)count
        : throw new ModelRuntimeException($"A span holds at most {int.MaxValue} elements, the buffer {count}; take a view of a part.");

    private static long CountOf(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long size in shape)
            count = size >= 0 ? checked(count * size) : throw new ModelRuntimeException($"The shape {TensorInfo.Text([.. shape])} has a negative size.");
        return count;
    }
}
