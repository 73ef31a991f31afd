namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>A folder that ends with the suite.</summary>
internal sealed class TemporaryFolder(string suite) : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory($"onnxllm-{suite}-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
