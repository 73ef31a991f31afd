using System.Runtime.InteropServices;
using System.Text;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The callbacks through which ONNX Runtime learns of a kernel and runs it. They are called on the runtime's threads; no exception leaves them.
/// </summary>
internal static unsafe class CustomOperator
{
    private const int Fail = 1; // ORT_FAIL
    private const int Required = 0; // INPUT_OUTPUT_REQUIRED

    /// <summary>Instructions for kernels created by this thread from now on; null = the widest of the machine. For tests.</summary>
    [ThreadStatic]
    internal static VectorWidth? ForcedWidth;

    /// <summary>Fills a description that must never move or be freed: every session refers to it.</summary>
    internal static void Describe(NativeOperator* self, int index)
    {
        Kernel kernel = KernelList.All[index];
        self->Version = NativeApi.Version;
        self->Kernel = index;
        self->Name = (byte*)Marshal.StringToCoTaskMemUTF8(kernel.Name);
        self->GetName = &GetName;
        self->GetProvider = &GetProvider;
        DescribePorts(self);
        self->CreateKernel = &Create;
        self->Compute = &Compute;
        self->Destroy = &Destroy;
        self->InferShape = &InferShape;
        self->StartVersion = &One;
        self->EndVersion = &Last;
        if (kernel.Reuse == Reuse.None) return;
        self->GetMayInPlace = InPlace(kernel.Reuse);
        self->ReleaseMayInPlace = &ReleaseMayInPlace;
    }

    private static void DescribePorts(NativeOperator* self)
    {
        self->GetInputType = &GetInputType;
        self->GetInputCount = &GetInputCount;
        self->GetInputCharacteristic = &Zero;
        self->GetInputMemory = &Zero;
        self->VariadicInputMinimum = &One;
        self->VariadicInputHomogeneous = &One;
        self->GetOutputType = &GetOutputType;
        self->GetOutputCount = &GetOutputCount;
        self->GetOutputCharacteristic = &Zero;
        self->VariadicOutputMinimum = &One;
        self->VariadicOutputHomogeneous = &One;
    }

    internal static VectorWidth Widest =>
        System.Runtime.Intrinsics.X86.Avx512DQ.IsSupported ? VectorWidth.Bits512
        : System.Numerics.Vector.IsHardwareAccelerated ? VectorWidth.Portable
        : VectorWidth.Scalar;

    [UnmanagedCallersOnly]
    private static nint Create(NativeOperator* self, nint api, nint info, KernelState** created)
    {
        KernelState* state = null;
        try
        {
            state = (KernelState*)NativeMemory.AllocZeroed((nuint)sizeof(KernelState));
            (state->Kernel, state->Width) = (self->Kernel, ForcedWidth ?? Widest);
            ReadAttributes(KernelList.All[self->Kernel], info, state);
            Scratch.Enter();
            *created = state;
            return 0;
        }
        catch (Exception error)
        {
            NativeMemory.Free(state);
            return Status(self->Kernel, error);
        }
    }

    private static void ReadAttributes(Kernel kernel, nint info, KernelState* state)
    {
        for (int i = 0; i < kernel.Floats.Length; i++)
            fixed (byte* name = Encoding.UTF8.GetBytes(kernel.Floats[i] + '\0'))
                NativeApi.Check(NativeApi.GetFloatAttribute(info, name, &state->Floats[i]));
        for (int i = 0; i < kernel.Integers.Length; i++)
            fixed (byte* name = Encoding.UTF8.GetBytes(kernel.Integers[i] + '\0'))
                NativeApi.Check(NativeApi.GetIntAttribute(info, name, &state->Integers[i]));
    }

    [UnmanagedCallersOnly]
    private static nint Compute(KernelState* state, nint native)
    {
        try
        {
            var context = new KernelContext(native, state);
            KernelList.All[state->Kernel].Compute(ref context);
            return 0;
        }
        catch (Exception error)
        {
            return Status(state->Kernel, error);
        }
    }

    [UnmanagedCallersOnly]
    private static void Destroy(KernelState* state)
    {
        NativeMemory.Free(state);
        Scratch.Leave();
    }

    /// <summary>The runtime reuses memory only between tensors whose shapes it knows to be equal.</summary>
    [UnmanagedCallersOnly]
    private static nint InferShape(NativeOperator* self, nint context)
    {
        ReadOnlySpan<int> same = KernelList.All[self->Kernel].SameShape.AsSpan();
        nint status = 0;
        for (int i = 0; i < same.Length && status == 0; i++)
            status = InferShape(context, same[i], i);
        return status;
    }

    /// <summary>
    /// A shape without dimensions may be a scalar's or unknown, so it is not passed on. Nor is one with an unknown extent: the runtime would take
    /// the −1 for a number and work out impossible shapes from it.
    /// </summary>
    private static nint InferShape(nint context, int input, int output)
    {
        nint shape;
        nint status = NativeApi.GetInputShape(context, (nuint)input, &shape);
        if (status != 0) return status;
        nuint rank;
        status = NativeApi.GetDimensionsCount(shape, &rank);
        if (status != 0 || rank == 0) return status;
        long* extents = stackalloc long[(int)rank];
        status = NativeApi.GetDimensions(shape, extents, rank);
        bool known = status == 0 && !new ReadOnlySpan<long>(extents, (int)rank).ContainsAnyInRange(long.MinValue, -1);
        return known ? NativeApi.SetOutputShape(context, (nuint)output, shape) : status;
    }

    private static nint Status(int kernel, Exception error)
    {
        fixed (byte* message = Encoding.UTF8.GetBytes($"{KernelList.All[kernel].Name}: {error.Message}\0"))
            return NativeApi.CreateStatus(Fail, message);
    }

    [UnmanagedCallersOnly]
    private static byte* GetName(NativeOperator* self) => self->Name;

    /// <summary>Null is the CPU provider.</summary>
    [UnmanagedCallersOnly]
    private static byte* GetProvider(NativeOperator* self) => null;

    [UnmanagedCallersOnly]
    private static int GetInputType(NativeOperator* self, nuint index) => (int)KernelList.All[self->Kernel].Inputs[(int)index];

    [UnmanagedCallersOnly]
    private static nuint GetInputCount(NativeOperator* self) => (nuint)KernelList.All[self->Kernel].Inputs.Length;

    [UnmanagedCallersOnly]
    private static int GetOutputType(NativeOperator* self, nuint index) => (int)KernelList.All[self->Kernel].Outputs[(int)index];

    [UnmanagedCallersOnly]
    private static nuint GetOutputCount(NativeOperator* self) => (nuint)KernelList.All[self->Kernel].Outputs.Length;

    /// <summary>A required input or output; an input in the provider's own memory.</summary>
    [UnmanagedCallersOnly]
    private static int Zero(NativeOperator* self, nuint index) => Required;

    [UnmanagedCallersOnly]
    private static int One(NativeOperator* self) => 1;

    [UnmanagedCallersOnly]
    private static int Last(NativeOperator* self) => int.MaxValue;

    /// <summary>The callback is not told its operator, so each map of inputs to outputs is a function of its own.</summary>
    private static delegate* unmanaged<int**, int**, nuint> InPlace(Reuse reuse) => reuse switch
    {
        Reuse.FirstForFirst => &FirstForFirst,
        Reuse.FirstForSecond => &FirstForSecond,
        Reuse.FirstForThird => &FirstForThird,
        Reuse.SecondAndThirdForFirstAndSecond => &SecondAndThirdForFirstAndSecond,
        Reuse.ParameterAndMoments => &ParameterAndMoments,
        _ => &ParameterAndScaledMoments,
    };

    [UnmanagedCallersOnly]
    private static nuint FirstForFirst(int** inputs, int** outputs) => Map(inputs, outputs, [0], [0]);

    [UnmanagedCallersOnly]
    private static nuint FirstForSecond(int** inputs, int** outputs) => Map(inputs, outputs, [0], [1]);

    [UnmanagedCallersOnly]
    private static nuint FirstForThird(int** inputs, int** outputs) => Map(inputs, outputs, [0], [2]);

    [UnmanagedCallersOnly]
    private static nuint SecondAndThirdForFirstAndSecond(int** inputs, int** outputs) => Map(inputs, outputs, [1, 2], [0, 1]);

    [UnmanagedCallersOnly]
    private static nuint ParameterAndMoments(int** inputs, int** outputs) => Map(inputs, outputs, [0, 2, 3], [0, 1, 2]);

    [UnmanagedCallersOnly]
    private static nuint ParameterAndScaledMoments(int** inputs, int** outputs) => Map(inputs, outputs, [0, 2, 3, 4, 5], [0, 1, 2, 3, 4]);

    private static nuint Map(int** inputs, int** outputs, ReadOnlySpan<int> from, ReadOnlySpan<int> to)
    {
        *inputs = Allocate(from);
        *outputs = Allocate(to);
        return (nuint)from.Length;
    }

    private static int* Allocate(ReadOnlySpan<int> values)
    {
        var memory = (int*)NativeMemory.Alloc((nuint)values.Length, sizeof(int));
        values.CopyTo(new Span<int>(memory, values.Length));
        return memory;
    }

    [UnmanagedCallersOnly]
    private static void ReleaseMayInPlace(int* inputs, int* outputs)
    {
        NativeMemory.Free(inputs);
        NativeMemory.Free(outputs);
    }
}
