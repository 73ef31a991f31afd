using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Signed bytes as floats, which is exact, and whole floats as signed bytes, in vectors of three lengths. Not a byte more is read or written than is asked for.</summary>
internal static unsafe class SignedBytes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<float> Four(sbyte* source) =>
        Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalar(Unsafe.ReadUnaligned<int>(source)).AsSByte())));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Eight(sbyte* source) => Avx2.IsSupported
        ? Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(source))
        : Vector256.Create(Four(source), Four(source + 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Sixteen(sbyte* source) => Avx512F.IsSupported
        ? Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(source)))
        : Vector512.Create(Eight(source), Eight(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Store(Vector128<float> whole, sbyte* target)
    {
        Vector128<int> values = Vector128.ConvertToInt32Native(whole);
        Unsafe.WriteUnaligned(target, Narrow(values, values).AsInt32()[0]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Store(Vector256<float> whole, sbyte* target)
    {
        Vector256<int> values = Vector256.ConvertToInt32Native(whole);
        Unsafe.WriteUnaligned(target, Narrow(values.GetLower(), values.GetUpper()).AsInt64()[0]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Store(Vector512<float> whole, sbyte* target)
    {
        if (Avx512F.IsSupported) Avx512F.ConvertToVector128SByte(Vector512.ConvertToInt32Native(whole)).Store(target);
        else
        {
            Store(whole.GetLower(), target);
            Store(whole.GetUpper(), target + 8);
        }
    }

    /// <summary>The bytes of eight values, twice.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<sbyte> Narrow(Vector128<int> lower, Vector128<int> upper)
    {
        Vector128<short> both = Vector128.Narrow(lower, upper);
        return Vector128.Narrow(both, both);
    }
}
