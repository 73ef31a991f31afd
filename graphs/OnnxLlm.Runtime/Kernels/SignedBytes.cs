using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Signed bytes as floats, which is exact, in vectors of three lengths. Not a byte more is read than is asked for.</summary>
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
}
