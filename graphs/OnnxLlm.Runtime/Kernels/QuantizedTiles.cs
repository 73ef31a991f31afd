using System.Runtime.Intrinsics;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Some rows of weights in the lanes of a vector times some rows of activations.</summary>
internal unsafe interface IQuantizedTile
{
    /// <summary>Rows of weights.</summary>
    static abstract int Lanes { get; }

    /// <summary>Vectors of sums for each row of activations.</summary>
    static abstract int Chains { get; }

    /// <summary>Bytes that <see cref="Arrange"/> needs.</summary>
    static abstract long Room(long stride);

    /// <summary>Rows of weights as <see cref="Multiply"/> takes them: where they lie, or in <paramref name="room"/>.</summary>
    static abstract byte* Arrange(byte* rows, long stride, byte* room);

    /// <summary>The results of <paramref name="rows"/> rows of activations from <paramref name="row"/> on, for the rows of weights from <paramref name="n"/> on.</summary>
    /// <param name="w">Those rows of weights, arranged.</param>
    /// <param name="scales">[blocks, lanes]; of 16 bits where <see cref="QuantizedArguments.HasNarrowScales"/>.</param>
    /// <param name="sums">Room for [chains, rows, lanes].</param>
    static abstract void Multiply(QuantizedArguments* x, long n, byte* w, float* scales, long row, long rows, float* sums);
}

/// <summary>Goes over rows of weights by tiles.</summary>
internal static unsafe class QuantizedTiles
{
    /// <summary>Rows of activations at a time.</summary>
    internal const int Rows = 64;

    /// <summary>Number of groups of so many rows of activations.</summary>
    internal static long Groups(long rows) => (rows + Rows - 1) / Rows;

    /// <summary>Results of all activations for the rows of weights from <paramref name="first"/> to <paramref name="end"/>; there are at least as many in all as lanes.</summary>
    internal static void Multiply<T>(QuantizedArguments* x, long first, long end) where T : IQuantizedTile
    {
        long room = x->IsInterleaved ? 0 : 2 * x->Blocks * T.Lanes + T.Room(x->Padded) / sizeof(float);
        float* sums = Scratch.Rent(T.Chains * Rows * T.Lanes + room), scalesRoom = sums + T.Chains * Rows * T.Lanes;
        float* wideRoom = scalesRoom + x->Blocks * T.Lanes;
        var weightsRoom = (byte*)(wideRoom + x->Blocks * T.Lanes);
        for (long n = first; n < end; n += T.Lanes)
        {
            long from = Math.Min(n, x->N - T.Lanes); // the last rows once more where they fill no vector
            byte* w = x->Values + from * x->Padded;
            float* scales = x->ScalesOf(from);
            if (!x->IsInterleaved)
            {
                if (x->HasNarrowScales) scales = Widen((ushort*)scales, x->Blocks * T.Lanes, wideRoom);
                AttentionCopies.Transpose(scales, T.Lanes, x->Blocks, x->Blocks, scalesRoom, T.Lanes, 1);
                scales = scalesRoom;
                w = T.Arrange(w, x->Padded, weightsRoom);
            }
            for (long row = 0; row < x->M; row += Rows) T.Multiply(x, from, w, scales, row, Math.Min(Rows, x->M - row), sums);
        }
        Scratch.Return(sums);
    }

    /// <param name="count">A multiple of eight.</param>
    private static float* Widen(ushort* scales, long count, float* wide)
    {
        for (long i = 0; i < count; i += Vector256<float>.Count) Vector256.Store(BFloat16s.Eight(scales + i), wide + i);
        return wide;
    }
}
