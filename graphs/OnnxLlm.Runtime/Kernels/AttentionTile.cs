using System.Runtime.CompilerServices;

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
/// The register tile of attention, C[8 x 2 vectors] (+)= A[8 x depth]·B[depth x 2 vectors]. The accumulators are separate locals because the compiler keeps
/// those, and no array, in registers. AVX-512 has room for all 8 rows at once, 16 registers are filled by 4.
/// </summary>
internal static unsafe class AttentionTile
{
    internal const int Rows = 8;

    /// <summary>Floats in a row of the tile.</summary>
    internal static int Width<T>() where T : unmanaged, ILanes<T> => 2 * T.Count;

    /// <param name="depth">Number of steps.</param>
    /// <param name="a">First step of the left operand.</param>
    /// <param name="aStep">Floats from one step to the next.</param>
    /// <param name="b">Right operand, one row of the tile's width per step.</param>
    /// <param name="bStride">Floats from one row of b to the next.</param>
    /// <param name="c">Result.</param>
    /// <param name="cStride">Floats from one row of c to the next.</param>
    /// <param name="add">Adds to c instead of replacing it.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Multiply<T, TOperand>(long depth, float* a, long aStep, float* b, long bStride, float* c, long cStride, bool add)
        where T : unmanaged, ILanes<T>
        where TOperand : ITileOperand
    {
        if (T.Count == Lanes512.Count)
        {
            EightRows<T, TOperand>(depth, a, aStep, b, bStride, c, cStride, add);
            return;
        }
        FourRows<T, TOperand, FirstRow>(depth, a, aStep, b, bStride, c, cStride, add);
        FourRows<T, TOperand, FifthRow>(depth, a, aStep, b, bStride, c + 4 * cStride, cStride, add);
    }

    /// <summary>All rows in 16 accumulators.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightRows<T, TOperand>(long depth, float* a, long aStep, float* b, long bStride, float* c, long cStride, bool add)
        where T : unmanaged, ILanes<T>
        where TOperand : ITileOperand
    {
        T c0a, c0b, c1a, c1b, c2a, c2b, c3a, c3b, c4a, c4b, c5a, c5b, c6a, c6b, c7a, c7b;
        if (add)
        {
            float* row = c;
            c0a = T.Load(row);
            c0b = T.Load(row + T.Count);
            row += cStride;
            c1a = T.Load(row);
            c1b = T.Load(row + T.Count);
            row += cStride;
            c2a = T.Load(row);
            c2b = T.Load(row + T.Count);
            row += cStride;
            c3a = T.Load(row);
            c3b = T.Load(row + T.Count);
            row += cStride;
            c4a = T.Load(row);
            c4b = T.Load(row + T.Count);
            row += cStride;
            c5a = T.Load(row);
            c5b = T.Load(row + T.Count);
            row += cStride;
            c6a = T.Load(row);
            c6b = T.Load(row + T.Count);
            row += cStride;
            c7a = T.Load(row);
            c7b = T.Load(row + T.Count);
        }
        else
        {
            c0a = c0b = c1a = c1b = c2a = c2b = c3a = c3b = c4a = c4b = c5a = c5b = c6a = c6b = c7a = c7b = T.All(0);
        }

        for (long step = depth; step > 0; step--)
        {
            T left = T.Load(b), right = T.Load(b + T.Count), x;
            x = T.All(TOperand.At(a, 0));
            c0a = T.MultiplyAdd(x, left, c0a);
            c0b = T.MultiplyAdd(x, right, c0b);
            x = T.All(TOperand.At(a, 1));
            c1a = T.MultiplyAdd(x, left, c1a);
            c1b = T.MultiplyAdd(x, right, c1b);
            x = T.All(TOperand.At(a, 2));
            c2a = T.MultiplyAdd(x, left, c2a);
            c2b = T.MultiplyAdd(x, right, c2b);
            x = T.All(TOperand.At(a, 3));
            c3a = T.MultiplyAdd(x, left, c3a);
            c3b = T.MultiplyAdd(x, right, c3b);
            x = T.All(TOperand.At(a, 4));
            c4a = T.MultiplyAdd(x, left, c4a);
            c4b = T.MultiplyAdd(x, right, c4b);
            x = T.All(TOperand.At(a, 5));
            c5a = T.MultiplyAdd(x, left, c5a);
            c5b = T.MultiplyAdd(x, right, c5b);
            x = T.All(TOperand.At(a, 6));
            c6a = T.MultiplyAdd(x, left, c6a);
            c6b = T.MultiplyAdd(x, right, c6b);
            x = T.All(TOperand.At(a, 7));
            c7a = T.MultiplyAdd(x, left, c7a);
            c7b = T.MultiplyAdd(x, right, c7b);
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

    /// <summary>Four rows in 8 accumulators.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows<T, TOperand, TFirst>(long depth, float* a, long aStep, float* b, long bStride, float* c, long cStride, bool add)
        where T : unmanaged, ILanes<T>
        where TOperand : ITileOperand
        where TFirst : IFirstRow
    {
        T c0a, c0b, c1a, c1b, c2a, c2b, c3a, c3b;
        if (add)
        {
            float* row = c;
            c0a = T.Load(row);
            c0b = T.Load(row + T.Count);
            row += cStride;
            c1a = T.Load(row);
            c1b = T.Load(row + T.Count);
            row += cStride;
            c2a = T.Load(row);
            c2b = T.Load(row + T.Count);
            row += cStride;
            c3a = T.Load(row);
            c3b = T.Load(row + T.Count);
        }
        else
        {
            c0a = c0b = c1a = c1b = c2a = c2b = c3a = c3b = T.All(0);
        }

        for (long step = depth; step > 0; step--)
        {
            T left = T.Load(b), right = T.Load(b + T.Count), x;
            x = T.All(TOperand.At(a, TFirst.Row));
            c0a = T.MultiplyAdd(x, left, c0a);
            c0b = T.MultiplyAdd(x, right, c0b);
            x = T.All(TOperand.At(a, TFirst.Row + 1));
            c1a = T.MultiplyAdd(x, left, c1a);
            c1b = T.MultiplyAdd(x, right, c1b);
            x = T.All(TOperand.At(a, TFirst.Row + 2));
            c2a = T.MultiplyAdd(x, left, c2a);
            c2b = T.MultiplyAdd(x, right, c2b);
            x = T.All(TOperand.At(a, TFirst.Row + 3));
            c3a = T.MultiplyAdd(x, left, c3a);
            c3b = T.MultiplyAdd(x, right, c3b);
            a += aStep;
            b += bStride;
        }

        Store(c0a, c0b, c);
        Store(c1a, c1b, c + cStride);
        Store(c2a, c2b, c + 2 * cStride);
        Store(c3a, c3b, c + 3 * cStride);
    }

    /// <summary>A row number that the compiler knows, so that it becomes part of the addresses.</summary>
    private interface IFirstRow
    {
        static abstract int Row { get; }
    }

    private readonly struct FirstRow : IFirstRow
    {
        public static int Row => 0;
    }

    private readonly struct FifthRow : IFirstRow
    {
        public static int Row => 4;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T>(T left, T right, float* target) where T : unmanaged, ILanes<T>
    {
        T.Store(left, target);
        T.Store(right, target + T.Count);
    }
}
