namespace OnnxLlm.Tests.Devices;

/// <summary>As <see cref="StubFactAttribute"/>, with data.</summary>
public sealed class StubTheoryAttribute : TheoryAttribute
{
    public StubTheoryAttribute() => Skip = CudaStubs.Missing;
}
