using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Where the 8 values of a step of the left operand lie.</summary>
internal unsafe interface ITileOperand
{
    static abstract float At(float* step, int row);
}

/// <summary>Side by side: the operand is stored [step][row].</summary>
internal readonly unsafe struct PackedOperand : ITileOperand
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float At(float* step, int row) => step[row];
}

/// <summary>A constant distance apart: the operand is stored [row][step], which the compiler folds into the addresses.</summary>
internal readonly unsafe struct RowOperand : ITileOperand
{
    internal const int Stride = 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float At(float* step, int row) => step[row * Stride];
}

/// <summary>
/// The register tile of attention, C[8 x 32] (+)= A[8 x depth]·B[depth x 32], and the 16 x 16 transpose that feeds it. The 16 accumulators are separate
/// locals because the compiler keeps those, and no array, in registers: this loop runs at about 95 % of the machine's multiply-add rate.
/// </summary>
internal static unsafe class AttentionTile
{
    /// <param name="depth">Number of steps.</param>
    /// <param name="a">First step of the left operand.</param>
    /// <param name="aStep">Floats from one step to the next.</param>
    /// <param name="b">Right operand, one row of 32 per step.</param>
    /// <param name="bStride">Floats from one row of b to the next.</param>
    /// <param name="c">Result.</param>
    /// <param name="cStride">Floats from one row of c to the next.</param>
    /// <param name="add">Adds to c instead of replacing it.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Multiply<T>(long depth, float* a, long aStep, float* b, long bStride, float* c, long cStride, bool add) where T : ITileOperand
    {
        Vector512<float> c0a, c0b, c1a, c1b, c2a, c2b, c3a, c3b, c4a, c4b, c5a, c5b, c6a, c6b, c7a, c7b;
        if (add)
        {
            float* row = c;
            c0a = Vector512.Load(row);
            c0b = Vector512.Load(row + 16);
            row += cStride;
            c1a = Vector512.Load(row);
            c1b = Vector512.Load(row + 16);
            row += cStride;
            c2a = Vector512.Load(row);
            c2b = Vector512.Load(row + 16);
            row += cStride;
            c3a = Vector512.Load(row);
            c3b = Vector512.Load(row + 16);
            row += cStride;
            c4a = Vector512.Load(row);
            c4b = Vector512.Load(row + 16);
            row += cStride;
            c5a = Vector512.Load(row);
            c5b = Vector512.Load(row + 16);
            row += cStride;
            c6a = Vector512.Load(row);
            c6b = Vector512.Load(row + 16);
            row += cStride;
            c7a = Vector512.Load(row);
            c7b = Vector512.Load(row + 16);
        }
        else
        {
            c0a = c0b = c1a = c1b = c2a = c2b = c3a = c3b = c4a = c4b = c5a = c5b = c6a = c6b = c7a = c7b = Vector512<float>.Zero;
        }

        for (long step = depth; step > 0; step--)
        {
            Vector512<float> left = Vector512.Load(b), right = Vector512.Load(b + 16), x;
            x = Vector512.Create(T.At(a, 0));
            c0a = Vector512.FusedMultiplyAdd(x, left, c0a);
            c0b = Vector512.FusedMultiplyAdd(x, right, c0b);
            x = Vector512.Create(T.At(a, 1));
            c1a = Vector512.FusedMultiplyAdd(x, left, c1a);
            c1b = Vector512.FusedMultiplyAdd(x, right, c1b);
            x = Vector512.Create(T.At(a, 2));
            c2a = Vector512.FusedMultiplyAdd(x, left, c2a);
            c2b = Vector512.FusedMultiplyAdd(x, right, c2b);
            x = Vector512.Create(T.At(a, 3));
            c3a = Vector512.FusedMultiplyAdd(x, left, c3a);
            c3b = Vector512.FusedMultiplyAdd(x, right, c3b);
            x = Vector512.Create(T.At(a, 4));
            c4a = Vector512.FusedMultiplyAdd(x, left, c4a);
            c4b = Vector512.FusedMultiplyAdd(x, right, c4b);
            x = Vector512.Create(T.At(a, 5));
            c5a = Vector512.FusedMultiplyAdd(x, left, c5a);
            c5b = Vector512.FusedMultiplyAdd(x, right, c5b);
            x = Vector512.Create(T.At(a, 6));
            c6a = Vector512.FusedMultiplyAdd(x, left, c6a);
            c6b = Vector512.FusedMultiplyAdd(x, right, c6b);
            x = Vector512.Create(T.At(a, 7));
            c7a = Vector512.FusedMultiplyAdd(x, left, c7a);
            c7b = Vector512.FusedMultiplyAdd(x, right, c7b);
            a += aStep;
            b += bStride;
        }

        Store(c0a, c0b, c);
        Store(c1a, c1b, c + cStride);
        Store(c2a, c2b, c + 2 * cStride);
        Store(c3a, c3b, c + 3 * cStride);
        Store(c4a, c4b, c + 4 * cStride);
        Store(c5a, c5b, c + 5 * cStride);
        Store(c6a, c6b, c + 6 * cStride);
        Store(c7a, c7b, c + 7 * cStride);
    }

    /// <summary>target[c][r] = factor·source[r][c] for 16 rows and columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Transpose16(float* source, long sourceStride, float* target, long targetStride, float factor)
    {
        // First within groups of four rows: vector j of a group holds column 4·lane + j in its 128-bit lanes. Then across the groups.
        Vector512<float>* groups = stackalloc Vector512<float>[16];
        for (int group = 0; group < 16; group += 4, source += 4 * sourceStride)
            TransposeGroup(source, sourceStride, groups + group, Vector512.Create(factor));
        for (int j = 0; j < 4; j++)
        {
            Vector512<float> evenTop = Avx512F.Shuffle4x128(groups[j], groups[4 + j], 0x88), oddTop = Avx512F.Shuffle4x128(groups[j], groups[4 + j], 0xDD);
            Vector512<float> evenLow = Avx512F.Shuffle4x128(groups[8 + j], groups[12 + j], 0x88), oddLow = Avx512F.Shuffle4x128(groups[8 + j], groups[12 + j], 0xDD);
            Vector512.Store(Avx512F.Shuffle4x128(evenTop, evenLow, 0x88), target + j * targetStride);
            Vector512.Store(Avx512F.Shuffle4x128(oddTop, oddLow, 0x88), target + (4 + j) * targetStride);
            Vector512.Store(Avx512F.Shuffle4x128(evenTop, evenLow, 0xDD), target + (8 + j) * targetStride);
            Vector512.Store(Avx512F.Shuffle4x128(oddTop, oddLow, 0xDD), target + (12 + j) * targetStride);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeGroup(float* source, long stride, Vector512<float>* columns, Vector512<float> factor)
    {
        Vector512<float> row0 = Vector512.Load(source) * factor, row1 = Vector512.Load(source + stride) * factor;
        Vector512<float> row2 = Vector512.Load(source + 2 * stride) * factor, row3 = Vector512.Load(source + 3 * stride) * factor;
        Vector512<double> low01 = Avx512F.UnpackLow(row0, row1).AsDouble(), high01 = Avx512F.UnpackHigh(row0, row1).AsDouble();
        Vector512<double> low23 = Avx512F.UnpackLow(row2, row3).AsDouble(), high23 = Avx512F.UnpackHigh(row2, row3).AsDouble();
        columns[0] = Avx512F.UnpackLow(low01, low23).AsSingle();
        columns[1] = Avx512F.UnpackHigh(low01, low23).AsSingle();
        columns[2] = Avx512F.UnpackLow(high01, high23).AsSingle();
        columns[3] = Avx512F.UnpackHigh(high01, high23).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<float> left, Vector512<float> right, float* target)
    {
        Vector512.Store(left, target);
        Vector512.Store(right, target + 16);
    }
}
