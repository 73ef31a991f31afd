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

    /// <summary>To the nearest, ties to even: half of the last place is added, and of a tie what makes it even. A NaN, which that could turn into another number, stays one.</summary>
    internal static ushort Rounded(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)(float.IsNaN(value) ? bits >> 16 | 0x40 : bits + 0x7FFF + (bits >> 16 & 1) >> 16);
    }
}
