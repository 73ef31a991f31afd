using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>The instructions of a product with 8-bit weights.</summary>
internal enum QuantizedForm
{
    /// <summary>16-bit activations, products added in pairs.</summary>
    Avx2,

    /// <summary>The same in vectors of 512 bits.</summary>
    Avx512,

    /// <summary>8-bit activations in vectors of 256 bits, four products added at once.</summary>
    Vnni,
}

/// <summary>Which form a machine takes.</summary>
internal static class QuantizedForms
{
    /// <summary>The form of products that this thread runs; null = the machine's best. For tests.</summary>
    [ThreadStatic]
    internal static QuantizedForm? Forced;

    /// <summary>
    /// With AVX-512 on AMD's processors 16-bit activations keep up with what the runtime makes of 8 bits; on Intel's a prompt takes three quarters of the time with 8 bits (decision 13
    /// has the numbers, and what it costs).
    /// </summary>
    internal static QuantizedForm Best { get; } =
        AvxVnni.IsSupported && (IsIntel || !Avx512BW.IsSupported) ? QuantizedForm.Vnni
        : Avx512BW.IsSupported ? QuantizedForm.Avx512
        : QuantizedForm.Avx2;

    /// <summary>"GenuineIntel": its second register reads "Genu".</summary>
    private static bool IsIntel => X86Base.CpuId(0, 0).Ebx == 0x756E6547;

    /// <summary>The form for so many rows of weights: those that are fewer than a tile has lanes take that which needs none.</summary>
    internal static QuantizedForm Of(long rows) => (Forced ?? Best) is var form && (form == QuantizedForm.Avx2 || rows >= Lanes(form)) ? form : QuantizedForm.Avx2;

    /// <summary>Rows of weights of a tile.</summary>
    internal static long Lanes(QuantizedForm form) => form switch
    {
        QuantizedForm.Vnni => QuantizedTileVnni.Lanes,
        QuantizedForm.Avx512 => QuantizedTile512.Lanes,
        _ => QuantizedTile.Rows,
    };
}
