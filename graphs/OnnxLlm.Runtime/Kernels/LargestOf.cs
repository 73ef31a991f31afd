using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>The largest float of a vector by halves. No branch depends on the values: which lane is the largest cannot be foreseen.</summary>
internal static class LargestOf
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Four(Vector128<float> values)
    {
        values = Vector128.MaxNative(values, Vector128.Shuffle(values, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(values, Vector128.Shuffle(values, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Eight(Vector256<float> values) => Four(Vector128.MaxNative(values.GetLower(), values.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Sixteen(Vector512<float> values) => Eight(Vector256.MaxNative(values.GetLower(), values.GetUpper()));
}
