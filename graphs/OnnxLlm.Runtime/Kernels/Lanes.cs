using System.Runtime.CompilerServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Some floats processed together. Kernels are written once over this and compiled for each width, so that the compiler sees plain vector
/// instructions and no call; tails of a loop use <see cref="ScalarLane"/>. Nothing here depends on the machine but speed and the last bit.
/// </summary>
internal unsafe interface ILanes<T> where T : unmanaged, ILanes<T>
{
    static abstract int Count { get; }

    static abstract T Load(float* source);

    /// <summary>Signed bytes as floats.</summary>
    static abstract T Load(sbyte* source);

    /// <summary>Floats of 16 bits (bfloat16) as floats.</summary>
    static abstract T Load(ushort* source);

    static abstract void Store(T value, float* target);

    /// <summary>Whole numbers from -128 to 127 as signed bytes.</summary>
    static abstract void Store(T whole, sbyte* target);

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

    static abstract T Floor(T value);

    /// <summary>2^whole for a whole number from -127, which gives 0, to 128, which gives infinity.</summary>
    static abstract T PowerOfTwo(T whole);

    /// <summary>2^x to about one unit in the last place; 0 for -infinity.</summary>
    static abstract T Exp2(T x);

    static abstract float Sum(T value);

    /// <summary>The sums of four, one behind the other.</summary>
    static abstract void StoreSums(T a, T b, T c, T d, float* target);

    static abstract float Largest(T value);

    /// <summary>0, 1, 2, ...</summary>
    static abstract T Indices { get; }

    /// <summary><paramref name="value"/> where a is less than b, else <paramref name="otherwise"/>.</summary>
    static abstract T WhereLess(T a, T b, T value, T otherwise);

    static abstract bool Same(T a, T b);
}

/// <summary>2^x by a minimax polynomial of 2^f on [0, 1), whose relative error is 2e-9 before rounding, and exact at 0.</summary>
internal static class Exponential
{
    /// <summary>log2(e): e^x = 2^(x·Log2E).</summary>
    internal const float Log2E = 1.44269504f;

    /// <summary>2^f for f in [0, 1).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T OfFraction<T>(T f) where T : unmanaged, ILanes<T>
    {
        T p = T.MultiplyAdd(f, T.All(0.000216129149f), T.All(0.0012467847f));
        p = T.MultiplyAdd(p, f, T.All(0.00967545155f));
        p = T.MultiplyAdd(p, f, T.All(0.0554852821f));
        p = T.MultiplyAdd(p, f, T.All(0.240229309f));
        p = T.MultiplyAdd(p, f, T.All(0.693147063f));
        return T.MultiplyAdd(p, f, T.All(1));
    }

    /// <summary>2^x: 0 below 2^-127, infinity from 2^128 on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T Of<T>(T x) where T : unmanaged, ILanes<T>
    {
        T clamped = T.Minimum(T.All(128), T.Maximum(T.All(-127), x)), whole = T.Floor(clamped);
        return OfFraction(clamped - whole) * T.PowerOfTwo(whole);
    }
}
