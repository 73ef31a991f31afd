namespace OnnxLlm.Runtime.Kernels;

/// <summary>Address and shape of an input of a kernel. Lives on the stack for one run.</summary>
internal unsafe struct KernelTensor
{
    internal const int MaximumRank = 8;

    internal void* Data;
    internal int Rank;
    internal fixed long Shape[MaximumRank];

    internal readonly float* Floats => (float*)Data;

    internal readonly long Count => Product(0, Rank);

    /// <summary>Size of the last dimension; 1 for a scalar.</summary>
    internal readonly long Width => Rank == 0 ? 1 : Shape[Rank - 1];

    /// <summary>Product of all dimensions but the last.</summary>
    internal readonly long Rows => Product(0, Rank - 1);

    /// <summary>The same shape with another last dimension, as statistics of rows have; without data.</summary>
    internal readonly KernelTensor WithWidth(long width)
    {
        KernelTensor other = this;
        other.Data = null;
        if (Rank > 0) other.Shape[Rank - 1] = width;
        return other;
    }

    private readonly long Product(int start, int end)
    {
        long product = 1;
        for (int i = start; i < end; i++) product *= Shape[i];
        return product;
    }
}
