using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The functions of ONNX Runtime's C API that a custom operator needs and the C# binding does not offer. Their places in the table of functions
/// are those of the binding's own structure, so that they stay right when the binding is upgraded. Every function returns null or a status.
/// </summary>
internal static unsafe partial class NativeApi
{
    /// <summary>The first API version with everything used here (in-place hints), which every runtime since 1.18 serves.</summary>
    internal const uint Version = 18;

    private static readonly nint* Table = (nint*)((delegate* unmanaged<uint, nint>)OrtGetApiBase()->GetApi)(Version);

    internal static readonly delegate* unmanaged<int, byte*, nint> CreateStatus = (delegate* unmanaged<int, byte*, nint>)Slot("CreateStatus");
    internal static readonly delegate* unmanaged<nint, byte*> GetErrorMessage = (delegate* unmanaged<nint, byte*>)Slot("GetErrorMessage");
    internal static readonly delegate* unmanaged<nint, void> ReleaseStatus = (delegate* unmanaged<nint, void>)Slot("ReleaseStatus");

    internal static readonly delegate* unmanaged<byte*, nint*, nint> CreateCustomOpDomain = (delegate* unmanaged<byte*, nint*, nint>)Slot("CreateCustomOpDomain");
    internal static readonly delegate* unmanaged<nint, void*, nint> CustomOpDomainAdd = (delegate* unmanaged<nint, void*, nint>)Slot("CustomOpDomain_Add");
    internal static readonly delegate* unmanaged<nint, nint, nint> AddCustomOpDomain = (delegate* unmanaged<nint, nint, nint>)Slot("AddCustomOpDomain");

    internal static readonly delegate* unmanaged<nint, byte*, float*, nint> GetFloatAttribute =
        (delegate* unmanaged<nint, byte*, float*, nint>)Slot("KernelInfoGetAttribute_float");
    internal static readonly delegate* unmanaged<nint, byte*, long*, nint> GetIntAttribute =
        (delegate* unmanaged<nint, byte*, long*, nint>)Slot("KernelInfoGetAttribute_int64");

    internal static readonly delegate* unmanaged<nint, nuint, nint*, nint> GetInput = (delegate* unmanaged<nint, nuint, nint*, nint>)Slot("KernelContext_GetInput");
    internal static readonly delegate* unmanaged<nint, nuint, long*, nuint, nint*, nint> GetOutput =
        (delegate* unmanaged<nint, nuint, long*, nuint, nint*, nint>)Slot("KernelContext_GetOutput");
    internal static readonly delegate* unmanaged<nint, void*, nuint, nuint, void*, nint> ParallelFor =
        (delegate* unmanaged<nint, void*, nuint, nuint, void*, nint>)Slot("KernelContext_ParallelFor");

    internal static readonly delegate* unmanaged<nint, nuint, nint*, nint> GetInputShape = (delegate* unmanaged<nint, nuint, nint*, nint>)Slot("ShapeInferContext_GetInputTypeShape");
    internal static readonly delegate* unmanaged<nint, nuint, nint, nint> SetOutputShape =
        (delegate* unmanaged<nint, nuint, nint, nint>)Slot("ShapeInferContext_SetOutputTypeShape");

    internal static readonly delegate* unmanaged<nint, void**, nint> GetTensorData = (delegate* unmanaged<nint, void**, nint>)Slot("GetTensorMutableData");
    internal static readonly delegate* unmanaged<nint, nint*, nint> GetTypeAndShape = (delegate* unmanaged<nint, nint*, nint>)Slot("GetTensorTypeAndShape");
    internal static readonly delegate* unmanaged<nint, void> ReleaseTypeAndShape = (delegate* unmanaged<nint, void>)Slot("ReleaseTensorTypeAndShapeInfo");
    internal static readonly delegate* unmanaged<nint, nuint*, nint> GetDimensionsCount = (delegate* unmanaged<nint, nuint*, nint>)Slot("GetDimensionsCount");
    internal static readonly delegate* unmanaged<nint, long*, nuint, nint> GetDimensions = (delegate* unmanaged<nint, long*, nuint, nint>)Slot("GetDimensions");

    /// <summary>Throws the message of a status that is not null.</summary>
    internal static void Check(nint status)
    {
        if (status == 0) return;
        string message = Marshal.PtrToStringUTF8((nint)GetErrorMessage(status)) ?? "";
        ReleaseStatus(status);
        throw new ModelRuntimeException(message);
    }

    /// <summary>The function of this name in the table.</summary>
    internal static nint Slot(string function) => Table[(int)Marshal.OffsetOf<OrtApi>(function) / sizeof(nint)];

    [LibraryImport("onnxruntime")]
    private static partial OrtApiBase* OrtGetApiBase();
}
