using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Floats of 16 bits (bfloat16) as floats, of which they are the upper half, in vectors of three lengths. Not a byte more is read than is asked for.</summary>
internal static unsafe class BFloat16s
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<float> Four(ushort* source) => (Vector128.WidenLower(Vector128.CreateScalar(Unsafe.ReadUnaligned<ulong>(source)).AsUInt16()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Eight(ushort* source) => (Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Sixteen(ushort* source) => (Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe()) << 16).AsSingle();
}
