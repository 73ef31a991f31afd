using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>As many floats as the machine's portable vectors hold: 8 with AVX2, 4 with NEON.</summary>
internal readonly unsafe struct PortableLanes(Vector<float> value) : ILanes<PortableLanes>
{
    private readonly Vector<float> _value = value;

    public static int Count => Vector<float>.Count;

    public static PortableLanes Indices => new(Vector<float>.Indices);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Load(float* source) => new(Vector.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Load(sbyte* source) => new(Count switch
    {
        4 => SignedBytes.Four(source).AsVector(),
        8 => SignedBytes.Eight(source).AsVector(),
        _ => SignedBytes.Sixteen(source).AsVector(),
    });

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Load(ushort* source) => new(Count switch
    {
        4 => BFloat16s.Four(source).AsVector(),
        8 => BFloat16s.Eight(source).AsVector(),
        _ => BFloat16s.Sixteen(source).AsVector(),
    });

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(PortableLanes value, float* target) => Vector.Store(value._value, target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(PortableLanes whole, sbyte* target)
    {
        if (Count == 4) SignedBytes.Store(whole._value.AsVector128(), target);
        else if (Count == 8) SignedBytes.Store(whole._value.AsVector256(), target);
        else SignedBytes.Store(whole._value.AsVector512(), target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes All(float value) => new(Vector.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes operator +(PortableLanes a, PortableLanes b) => new(a._value + b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes operator -(PortableLanes a, PortableLanes b) => new(a._value - b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes operator *(PortableLanes a, PortableLanes b) => new(a._value * b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes operator /(PortableLanes a, PortableLanes b) => new(a._value / b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes MultiplyAdd(PortableLanes a, PortableLanes b, PortableLanes c) => new(Vector.MultiplyAddEstimate(a._value, b._value, c._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Maximum(PortableLanes a, PortableLanes b) => new(Vector.MaxNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Minimum(PortableLanes a, PortableLanes b) => new(Vector.MinNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes SquareRoot(PortableLanes value) => new(Vector.SquareRoot(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Floor(PortableLanes value) => new(Vector.Floor(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes PowerOfTwo(PortableLanes whole) => new(Vector.AsVectorSingle(Vector.ShiftLeft(Vector.ConvertToInt32Native(whole._value) + Vector.Create(127), 23)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Exp2(PortableLanes x) => Exponential.Of(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(PortableLanes value) => Vector.Sum(value._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreSums(PortableLanes a, PortableLanes b, PortableLanes c, PortableLanes d, float* target) =>
        (target[0], target[1], target[2], target[3]) = (Sum(a), Sum(b), Sum(c), Sum(d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(PortableLanes value) => Count switch
    {
        4 => LargestOf.Four(value._value.AsVector128()),
        8 => LargestOf.Eight(value._value.AsVector256()),
        _ => LargestOf.Sixteen(value._value.AsVector512()),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes WhereLess(PortableLanes a, PortableLanes b, PortableLanes value, PortableLanes otherwise) =>
        new(Vector.ConditionalSelect(Vector.LessThan(a._value, b._value), value._value, otherwise._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Same(PortableLanes a, PortableLanes b) => Vector.EqualsAll(a._value, b._value);
}
