namespace OnnxLlm.Tests.Devices;

/// <summary>A test that runs the CUDA provider over stub libraries; skipped, with the reason, where those cannot be made.</summary>
public sealed class StubFactAttribute : FactAttribute
{
    public StubFactAttribute() => Skip = CudaStubs.Missing;
}
