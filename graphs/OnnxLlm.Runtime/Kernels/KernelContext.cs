using System.Globalization;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>What a node keeps from its creation to its end.</summary>
internal unsafe struct KernelState
{
    internal const int MaximumAttributes = 4;

    /// <summary>Position of the kernel in <see cref="KernelList.All"/>.</summary>
    internal int Kernel;
    internal VectorWidth Width;
    internal fixed float Floats[MaximumAttributes];
    internal fixed long Integers[MaximumAttributes];
}

/// <summary>
/// One run of a node: its inputs, its outputs, the runtime's thread pool. All failures are exceptions, thrown before parallel work starts;
/// the caller turns them into a status of the runtime.
/// </summary>
internal unsafe ref struct KernelContext(nint native, KernelState* state)
{
    /// <summary>Elements of a tensor that make a part of parallel work: long enough to hide its start (about 0.3 us), short enough to share.</summary>
    internal const long Grain = 16384;

    internal readonly VectorWidth Width => state->Width;

    /// <summary>Value of a float attribute, by its position in <see cref="Kernel.Floats"/>.</summary>
    internal readonly float Float(int index) => state->Floats[index];

    internal readonly long Integer(int index) => state->Integers[index];

    internal readonly KernelTensor Input(int index)
    {
        nint value;
        NativeApi.Check(NativeApi.GetInput(native, (nuint)index, &value));
        KernelTensor tensor;
        NativeApi.Check(NativeApi.GetTensorData(value, &tensor.Data));
        nint info;
        NativeApi.Check(NativeApi.GetTypeAndShape(value, &info));
        nuint rank;
        NativeApi.Check(NativeApi.GetDimensionsCount(info, &rank));
        tensor.Rank = (int)rank;
        if (tensor.Rank <= KernelTensor.MaximumRank)
            NativeApi.Check(NativeApi.GetDimensions(info, tensor.Shape, rank));
        NativeApi.ReleaseTypeAndShape(info);
        return tensor.Rank <= KernelTensor.MaximumRank
            ? tensor
            : throw new ModelRuntimeException($"input {index} has {tensor.Rank} dimensions, at most {KernelTensor.MaximumRank} are supported");
    }

    /// <summary>An input that must have the shape of <paramref name="like"/>.</summary>
    internal readonly KernelTensor Input(int index, in KernelTensor like)
    {
        KernelTensor tensor = Input(index);
        fixed (long* shape = like.Shape)
            Require(index, tensor, new ReadOnlySpan<long>(shape, like.Rank));
        return tensor;
    }

    /// <summary>Data of an input that must have this shape.</summary>
    internal readonly float* Input(int index, params ReadOnlySpan<long> shape)
    {
        KernelTensor tensor = Input(index);
        Require(index, tensor, shape);
        return tensor.Floats;
    }

    internal readonly float Scalar(int index)
    {
        KernelTensor tensor = Input(index);
        return tensor.Count == 1 ? *tensor.Floats : throw new ModelRuntimeException($"input {index} must be a scalar, it has {Text(tensor)}");
    }

    internal readonly bool Flag(int index)
    {
        KernelTensor tensor = Input(index);
        return tensor.Count == 1 ? *(bool*)tensor.Data : throw new ModelRuntimeException($"input {index} must be one truth value, it has {Text(tensor)}");
    }

    /// <summary>Memory of an output of this shape; its content is undefined, or that of the input whose memory it takes over.</summary>
    internal readonly float* Output(int index, params ReadOnlySpan<long> shape)
    {
        nint value;
        fixed (long* sizes = shape)
            NativeApi.Check(NativeApi.GetOutput(native, (nuint)index, sizes, (nuint)shape.Length, &value));
        void* data;
        NativeApi.Check(NativeApi.GetTensorData(value, &data));
        return (float*)data;
    }

    /// <summary>Memory of an output with the shape of <paramref name="like"/>.</summary>
    internal readonly float* Output(int index, in KernelTensor like)
    {
        fixed (long* shape = like.Shape)
            return Output(index, new ReadOnlySpan<long>(shape, like.Rank));
    }

    /// <summary>
    /// Calls <paramref name="part"/>, an unmanaged-callers-only function (arguments, index), for every index below <paramref name="parts"/>
    /// on the runtime's threads. <paramref name="uneven"/> parts are handed out one by one, others as one range per thread.
    /// </summary>
    internal readonly void ParallelFor(void* part, long parts, void* arguments, bool uneven = false)
    {
        if (parts > 0)
            NativeApi.Check(NativeApi.ParallelFor(native, part, (nuint)parts, uneven ? (nuint)parts : 0, arguments));
    }

    /// <summary>Number of parts of <see cref="Grain"/> elements.</summary>
    internal static long Parts(long elements) => (elements + Grain - 1) / Grain;

    /// <summary>Throws unless an input has this shape.</summary>
    internal static void Require(int index, in KernelTensor tensor, ReadOnlySpan<long> shape)
    {
        fixed (long* actual = tensor.Shape)
            if (new ReadOnlySpan<long>(actual, tensor.Rank).SequenceEqual(shape)) return;
        throw new ModelRuntimeException($"input {index} must have the shape {Text(shape)}, it has {Text(tensor)}");
    }

    private static string Text(in KernelTensor tensor)
    {
        fixed (long* shape = tensor.Shape)
            return Text(new ReadOnlySpan<long>(shape, tensor.Rank));
    }

    private static string Text(ReadOnlySpan<long> shape) =>
        "[" + string.Join(", ", shape.ToArray().Select(size => size.ToString(CultureInfo.InvariantCulture))) + "]";
}
