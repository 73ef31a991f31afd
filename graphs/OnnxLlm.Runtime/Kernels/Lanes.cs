using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Some floats processed together. Kernels are written once over this and compiled for each width, so that the compiler sees plain vector
/// instructions and no call; tails of a loop use <see cref="ScalarLane"/>. Nothing here depends on the machine but speed and the last bit.
/// </summary>
internal unsafe interface ILanes<T> where T : unmanaged, ILanes<T>
{
    static abstract int Count { get; }

    static abstract T Load(float* source);

    static abstract void Store(T value, float* target);

    static abstract T All(float value);

    static abstract T operator +(T a, T b);

    static abstract T operator -(T a, T b);

    static abstract T operator *(T a, T b);

    static abstract T operator /(T a, T b);

    /// <summary>a·b + c, fused where the machine can.</summary>
    static abstract T MultiplyAdd(T a, T b, T c);

    static abstract T Maximum(T a, T b);

    static abstract T Minimum(T a, T b);

    static abstract T SquareRoot(T value);

    /// <summary>2^x to about one unit in the last place; 0 for -infinity.</summary>
    static abstract T Exp2(T x);

    static abstract float Sum(T value);

    static abstract float Largest(T value);
}

/// <summary>Minimax polynomial of 2^f on [0, 1] (relative error 2e-9 before rounding), exact at 0.</summary>
internal static class Exp2Polynomial
{
    internal const float C1 = 0.693147063f, C2 = 0.240229309f, C3 = 0.0554852821f, C4 = 0.00967545155f, C5 = 0.0012467847f, C6 = 0.000216129149f;

    /// <summary>log2(e): e^x = 2^(x·Log2E).</summary>
    internal const float Log2E = 1.44269504f;
}

/// <summary>16 floats of AVX-512.</summary>
internal readonly unsafe struct Lanes512(Vector512<float> value) : ILanes<Lanes512>
{
    private readonly Vector512<float> _value = value;

    public static int Count => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes512 value, float* target) => Vector512.Store(value._value, target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 All(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator +(Lanes512 a, Lanes512 b) => new(a._value + b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator -(Lanes512 a, Lanes512 b) => new(a._value - b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator *(Lanes512 a, Lanes512 b) => new(a._value * b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator /(Lanes512 a, Lanes512 b) => new(a._value / b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 MultiplyAdd(Lanes512 a, Lanes512 b, Lanes512 c) => new(Avx512F.FusedMultiplyAdd(a._value, b._value, c._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Maximum(Lanes512 a, Lanes512 b) => new(Avx512F.Max(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Minimum(Lanes512 a, Lanes512 b) => new(Avx512F.Min(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 SquareRoot(Lanes512 value) => new(Avx512F.Sqrt(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Exp2(Lanes512 x) => new(Exp2(x._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes512 value) => Vector512.Sum(value._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Lanes512 value)
    {
        Vector256<float> half = Avx.Max(value._value.GetLower(), value._value.GetUpper());
        Vector128<float> quarter = Sse.Max(half.GetLower(), half.GetUpper());
        return MathF.Max(MathF.Max(quarter[0], quarter[1]), MathF.Max(quarter[2], quarter[3]));
    }

    /// <summary>VREDUCE gives x - floor(x) and VSCALEF multiplies by 2^floor(x): no integer work, gradual underflow, correct at the infinities.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Exp2(Vector512<float> x)
    {
        const byte subtractFloor = 0x09;
        Vector512<float> f = Avx512DQ.Reduce(x, subtractFloor);
        Vector512<float> p = Vector512.FusedMultiplyAdd(f, Vector512.Create(Exp2Polynomial.C6), Vector512.Create(Exp2Polynomial.C5));
        p = Vector512.FusedMultiplyAdd(p, f, Vector512.Create(Exp2Polynomial.C4));
        p = Vector512.FusedMultiplyAdd(p, f, Vector512.Create(Exp2Polynomial.C3));
        p = Vector512.FusedMultiplyAdd(p, f, Vector512.Create(Exp2Polynomial.C2));
        p = Vector512.FusedMultiplyAdd(p, f, Vector512.Create(Exp2Polynomial.C1));
        p = Vector512.FusedMultiplyAdd(p, f, Vector512<float>.One);
        return Avx512F.Scale(p, x);
    }
}

/// <summary>As many floats as the machine's portable vectors hold: 8 with AVX2, 4 with NEON.</summary>
internal readonly unsafe struct PortableLanes(Vector<float> value) : ILanes<PortableLanes>
{
    private readonly Vector<float> _value = value;

    public static int Count => Vector<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Load(float* source) => new(Vector.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(PortableLanes value, float* target) => Vector.Store(value._value, target);

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
    public static PortableLanes Maximum(PortableLanes a, PortableLanes b) => new(Vector.ConditionalSelect(Vector.GreaterThan(a._value, b._value), a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Minimum(PortableLanes a, PortableLanes b) => new(Vector.ConditionalSelect(Vector.LessThan(a._value, b._value), a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes SquareRoot(PortableLanes value) => new(Vector.SquareRoot(value._value));

    /// <summary>The whole part of x becomes the exponent's bits: 0 below 2^-127, infinity from 2^128 on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Exp2(PortableLanes x)
    {
        Vector<float> clamped = Vector.Min(Vector.Max(x._value, Vector.Create(-127f)), Vector.Create(128f));
        Vector<float> whole = Vector.Floor(clamped);
        Vector<float> f = clamped - whole;
        Vector<float> p = Vector.MultiplyAddEstimate(f, Vector.Create(Exp2Polynomial.C6), Vector.Create(Exp2Polynomial.C5));
        p = Vector.MultiplyAddEstimate(p, f, Vector.Create(Exp2Polynomial.C4));
        p = Vector.MultiplyAddEstimate(p, f, Vector.Create(Exp2Polynomial.C3));
        p = Vector.MultiplyAddEstimate(p, f, Vector.Create(Exp2Polynomial.C2));
        p = Vector.MultiplyAddEstimate(p, f, Vector.Create(Exp2Polynomial.C1));
        p = Vector.MultiplyAddEstimate(p, f, Vector<float>.One);
        Vector<int> exponent = Vector.ShiftLeft(Vector.ConvertToInt32(whole) + Vector.Create(127), 23);
        return new(p * Vector.AsVectorSingle(exponent));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(PortableLanes value) => Vector.Sum(value._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(PortableLanes value)
    {
        float largest = value._value[0];
        for (int i = 1; i < Vector<float>.Count; i++) largest = value._value[i] > largest ? value._value[i] : largest;
        return largest;
    }
}

/// <summary>One float: the tail of a row, or a machine without vectors.</summary>
internal readonly unsafe struct ScalarLane(float value) : ILanes<ScalarLane>
{
    private readonly float _value = value;

    public static int Count => 1;

    public static ScalarLane Load(float* source) => new(*source);

    public static void Store(ScalarLane value, float* target) => *target = value._value;

    public static ScalarLane All(float value) => new(value);

    public static ScalarLane operator +(ScalarLane a, ScalarLane b) => new(a._value + b._value);

    public static ScalarLane operator -(ScalarLane a, ScalarLane b) => new(a._value - b._value);

    public static ScalarLane operator *(ScalarLane a, ScalarLane b) => new(a._value * b._value);

    public static ScalarLane operator /(ScalarLane a, ScalarLane b) => new(a._value / b._value);

    public static ScalarLane MultiplyAdd(ScalarLane a, ScalarLane b, ScalarLane c) => new(a._value * b._value + c._value);

    public static ScalarLane Maximum(ScalarLane a, ScalarLane b) => a._value > b._value ? a : b;

    public static ScalarLane Minimum(ScalarLane a, ScalarLane b) => a._value < b._value ? a : b;

    public static ScalarLane SquareRoot(ScalarLane value) => new(MathF.Sqrt(value._value));

    public static ScalarLane Exp2(ScalarLane x) => new(MathF.Pow(2f, x._value));

    public static float Sum(ScalarLane value) => value._value;

    public static float Largest(ScalarLane value) => value._value;
}
