using System.Globalization;

namespace OnnxLlm.Runtime.Devices;

public enum DeviceKind
{
    Cpu,

    /// <summary>An NVIDIA GPU.</summary>
    Cuda,
}

/// <summary>Where a session computes and a buffer lies; written <c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>.</summary>
public readonly record struct Device(DeviceKind Kind, int Ordinal)
{
    public static Device Cpu => default;

    public bool IsCuda => Kind == DeviceKind.Cuda;

    /// <summary>Name of ONNX Runtime's provider for it.</summary>
    public string Provider => IsCuda ? "CUDAExecutionProvider" : "CPUExecutionProvider";

    /// <summary>The GPU's name; null for the CPU, and where there is no such GPU.</summary>
    public string? Card => IsCuda && CudaDriver.Read() is { } driver && Ordinal < driver.Devices.Length ? driver.Devices[Ordinal].Name : null;

    public static Device Cuda(int ordinal) => new(DeviceKind.Cuda, ordinal);

    /// <exception cref="ModelRuntimeException">The text names no device.</exception>
    public static Device Parse(string text) => text switch
    {
        "cpu" => Cpu,
        "cuda" => Cuda(0),
        _ when text.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(text[5..], NumberStyles.None, CultureInfo.InvariantCulture, out int n) => Cuda(n),
        _ => throw new ModelRuntimeException($"'{text}' is no device; there are cpu, cuda and cuda:N for the GPU with that number."),
    };

    /// <summary>Throws one line that says what is missing and how to get it, where this machine or this build cannot use the device.</summary>
    public void Require()
    {
        if (IsCuda) CudaSurvey.Take().Require(Ordinal);
    }

    public override string ToString() => IsCuda ? string.Create(CultureInfo.InvariantCulture, $"cuda:{Ordinal}") : "cpu";
}
