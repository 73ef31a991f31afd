using System.Runtime.CompilerServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>How a cache holds keys and values. Attention itself works on floats and is written once, over this.</summary>
internal unsafe interface ICacheFormat
{
    static abstract ElementType Type { get; }

    /// <summary>Bytes of an element.</summary>
    static abstract long Size { get; }

    /// <summary>Floats that <see cref="Read"/> needs to put elements into.</summary>
    static abstract long Room(long elements);

    /// <summary>Stores the key or value of one token in one head; <paramref name="scales"/> are the head's.</summary>
    static abstract void Write(float* head, float* scales, byte* cache, long size);

    /// <summary>Keys or values of some tokens in one head as floats: where they lie, or in <paramref name="room"/>.</summary>
    static abstract float* Read<T>(byte* cache, float* scales, long tokens, long size, float* room) where T : unmanaged, ILanes<T>;
}

/// <summary>Floats as they are.</summary>
internal readonly unsafe struct FloatCache : ICacheFormat
{
    public static ElementType Type => ElementType.Float;

    public static long Size => sizeof(float);

    public static long Room(long elements) => 0;

    public static void Write(float* head, float* scales, byte* cache, long size) => Buffer.MemoryCopy(head, cache, size * sizeof(float), size * sizeof(float));

    public static float* Read<T>(byte* cache, float* scales, long tokens, long size, float* room) where T : unmanaged, ILanes<T> => (float*)cache;
}

/// <summary>Floats of 16 bits: the upper half of a float. They are widened as bytes are, see <see cref="Int8Cache"/>.</summary>
internal readonly unsafe struct BFloat16Cache : ICacheFormat
{
    public static ElementType Type => ElementType.BFloat16;

    public static long Size => sizeof(ushort);

    public static long Room(long elements) => elements;

    public static void Write(float* head, float* scales, byte* cache, long size)
    {
        for (long i = 0; i < size; i++) ((ushort*)cache)[i] = BFloat16.Round(head[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float* Read<T>(byte* cache, float* scales, long tokens, long size, float* room) where T : unmanaged, ILanes<T>
    {
        var source = (ushort*)cache;
        for (long i = 0; i < tokens * size; i += T.Count) T.Store(T.Load(source + i), room + i);
        return room;
    }
}

/// <summary>
/// Signed bytes that stand for byte·scale, a scale for each channel of a head. They are widened once for all queries that share the head, into a room that
/// stays in the processor's first cache: what is read from memory is a quarter.
/// </summary>
internal readonly unsafe struct Int8Cache : ICacheFormat
{
    public static ElementType Type => ElementType.Int8;

    public static long Size => sizeof(sbyte);

    public static long Room(long elements) => elements;

    /// <summary>To the nearest, ties to even; what a byte cannot hold becomes the largest that it can. As ONNX Runtime does it, bit for bit.</summary>
    public static void Write(float* head, float* scales, byte* cache, long size)
    {
        for (long i = 0; i < size; i++)
        {
            float inverse = scales[i] == 0 ? 1 : 1 / scales[i];
            ((sbyte*)cache)[i] = (sbyte)MathF.Min(sbyte.MaxValue, MathF.Max(sbyte.MinValue, MathF.Round(head[i] * inverse)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float* Read<T>(byte* cache, float* scales, long tokens, long size, float* room) where T : unmanaged, ILanes<T>
    {
        var source = (sbyte*)cache;
        float* target = room;
        for (long token = 0; token < tokens; token++, source += size, target += size)
            for (long i = 0; i < size; i += T.Count) T.Store(T.Load(source + i) * T.Load(scales + i), target + i);
        return room;
    }
}
