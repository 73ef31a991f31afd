using Microsoft.ML.OnnxRuntime;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Runtime;

/// <summary>
/// Binds memory of the host straight through the runtime's C API. The C# binding does the same with an object that has a finalizer, an array for
/// the shape and one for the name, for every call: garbage with every token.
/// </summary>
internal static unsafe class TensorBinding
{
    private static readonly delegate* unmanaged<nint, void*, nuint, long*, nuint, int, nint*, nint> CreateTensor =
        (delegate* unmanaged<nint, void*, nuint, long*, nuint, int, nint*, nint>)NativeApi.Slot("CreateTensorWithDataAsOrtValue");

    private static readonly delegate* unmanaged<nint, byte*, nint, nint> Bind = (delegate* unmanaged<nint, byte*, nint, nint>)NativeApi.Slot("BindInput");

    private static readonly delegate* unmanaged<nint, void> Release = (delegate* unmanaged<nint, void>)NativeApi.Slot("ReleaseValue");

    /// <summary>The binding takes a share of the tensor, not of its memory, which must outlive the run.</summary>
    internal static void BindInput(OrtIoBinding binding, TensorInfo input, byte* data, long bytes, ReadOnlySpan<long> shape)
    {
        nint value;
        fixed (long* sizes = shape)
        {
            NativeApi.Check(CreateTensor(OrtMemoryInfo.DefaultInstance.DangerousGetHandle(), data, (nuint)bytes, sizes, (nuint)shape.Length, (int)input.Type, &value));
        }

        try
        {
            fixed (byte* name = input.NativeName)
            {
                NativeApi.Check(Bind(binding.DangerousGetHandle(), name, value));
            }
        }
        finally
        {
            Release(value);
        }
    }
}
