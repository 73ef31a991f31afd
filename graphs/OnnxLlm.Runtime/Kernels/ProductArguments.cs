namespace OnnxLlm.Runtime.Kernels;

/// <summary>C = op(A)·op(B) + start, and how its work is divided.</summary>
internal unsafe struct ProductArguments
{
    internal VectorWidth Width;
    internal bool TransposeA, TransposeB;
    internal long M, N, K, TileRows, TileWidth;
    internal float* A, B, C;

    /// <summary>What the sums start from, null for zero, and the floats from one of its rows to the next: 0 for a bias.</summary>
    internal float* Start;
    internal long StartStride;

    /// <summary>Whether the left operand is the one that is packed before the parts begin.</summary>
    internal bool LeftFirst;

    /// <summary>Whether nothing is packed before: parts are blocks of columns that pack the right operand for themselves and read the left one where it lies.</summary>
    internal bool RightInParts;

    /// <summary>What is packed before: its first step and its first row or column, their numbers, and the panels.</summary>
    internal long Step, Steps, First, Count, Panels, PanelStride;
    internal float* Packed;

    /// <summary>Steps of a block.</summary>
    internal long Depth;

    /// <summary>How many parts the rows and the columns of the result are divided into.</summary>
    internal long RowParts, ColumnParts;
}
