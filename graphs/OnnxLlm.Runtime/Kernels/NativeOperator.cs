using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The C API's description of a custom operator (OrtCustomOp), field for field, followed by what our callbacks need. A function that is null is absent;
/// those with V1 in their name are superseded.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeOperator
{
    internal uint Version;
    internal delegate* unmanaged<NativeOperator*, nint, nint, nint> CreateKernelV1;
    internal delegate* unmanaged<NativeOperator*, byte*> GetName;
    internal delegate* unmanaged<NativeOperator*, byte*> GetProvider;
    internal delegate* unmanaged<NativeOperator*, nuint, int> GetInputType;
    internal delegate* unmanaged<NativeOperator*, nuint> GetInputCount;
    internal delegate* unmanaged<NativeOperator*, nuint, int> GetOutputType;
    internal delegate* unmanaged<NativeOperator*, nuint> GetOutputCount;
    internal delegate* unmanaged<KernelState*, nint, void> ComputeV1;
    internal delegate* unmanaged<KernelState*, void> Destroy;
    internal delegate* unmanaged<NativeOperator*, nuint, int> GetInputCharacteristic;
    internal delegate* unmanaged<NativeOperator*, nuint, int> GetOutputCharacteristic;
    internal delegate* unmanaged<NativeOperator*, nuint, int> GetInputMemory;
    internal delegate* unmanaged<NativeOperator*, int> VariadicInputMinimum;
    internal delegate* unmanaged<NativeOperator*, int> VariadicInputHomogeneous;
    internal delegate* unmanaged<NativeOperator*, int> VariadicOutputMinimum;
    internal delegate* unmanaged<NativeOperator*, int> VariadicOutputHomogeneous;
    internal delegate* unmanaged<NativeOperator*, nint, nint, KernelState**, nint> CreateKernel;
    internal delegate* unmanaged<KernelState*, nint, nint> Compute;
    internal delegate* unmanaged<NativeOperator*, nint, nint> InferShape;
    internal delegate* unmanaged<NativeOperator*, int> StartVersion;
    internal delegate* unmanaged<NativeOperator*, int> EndVersion;
    internal delegate* unmanaged<int**, int**, nuint> GetMayInPlace;
    internal delegate* unmanaged<int*, int*, void> ReleaseMayInPlace;
    internal delegate* unmanaged<int**, int**, nuint> GetAlias;
    internal delegate* unmanaged<int*, int*, void> ReleaseAlias;

    /// <summary>Position of the kernel in <see cref="KernelList.All"/>.</summary>
    internal int Kernel;
    internal byte* Name;
}
