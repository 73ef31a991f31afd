namespace OnnxLlm.Graphs;

/// <summary>Floats of 16 bits, the upper half of those of 32 (bfloat16).</summary>
public static class BFloat16
{
    /// <summary>To the nearest, ties to even: half of the last place is added, and of a tie what makes it even. A NaN, which that could turn into another number, stays one.</summary>
    public static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)(float.IsNaN(value) ? bits >> 16 | 0x40 : bits + 0x7FFF + (bits >> 16 & 1) >> 16);
    }

    /// <summary>The number that those bits are.</summary>
    public static float Value(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
