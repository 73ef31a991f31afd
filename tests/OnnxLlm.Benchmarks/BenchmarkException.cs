namespace OnnxLlm.Benchmarks;

/// <summary>A measurement that cannot be made: a missing peer, a worker that failed, losses that differ.</summary>
internal sealed class BenchmarkException(string message) : Exception(message);
