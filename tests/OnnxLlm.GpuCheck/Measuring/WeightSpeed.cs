using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>Tokens per second decoded with 8-bit weights and with the same weights as floats: what a server on such a card decides by which of them it uses.</summary>
/// <param name="Sequences">Decoded together.</param>
internal sealed record WeightSpeed(int Sequences, double Quantized, double Float)
{
    public static IEnumerable<WeightSpeed> Measure(Device device, Workload work, TimeProvider time)
    {
        using var folder = new ScratchFolder();
        var package = RandomPackage.Quantize(RandomPackage.Write(folder.PathOf("float"), work.Model), folder.PathOf("int8"));
        foreach (var speed in new DeviceSpeed(device, threads: 0, time).Measure(package)) yield return new(speed.Sequences, speed.QuantizedDecode, speed.FloatDecode);
    }
}
