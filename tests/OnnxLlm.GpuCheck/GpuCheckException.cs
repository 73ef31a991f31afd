namespace OnnxLlm.GpuCheck;

/// <summary>A check that could not be made; the message says why.</summary>
internal sealed class GpuCheckException(string message) : Exception(message);
