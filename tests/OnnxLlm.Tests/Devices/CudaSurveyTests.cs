using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tools.Inspect;

namespace OnnxLlm.Tests.Devices;

/// <summary>What is said where a GPU cannot be used: one line that names what is missing and what to do.</summary>
public sealed class CudaSurveyTests
{
    private static readonly CudaDevice Gpu = new("Some GPU", 80L << 30, new(9, 0), 132);

    private static readonly CudaSurvey Whole = new(
        CoreKnowsCuda: true,
        new(CudaSurvey.ProviderLibrary, true),
        [new("libcudart.so.13", true), new("libcublasLt.so.13", true), new("libcublas.so.13", true), new("libcurand.so.10", true)],
        new("libcudnn.so.9", false),
        new CudaDriver(new(13, 0), [Gpu, Gpu]));

    public static TheoryData<string, string> Obstacles => new()
    {
        { "core", "this program was built with ONNX Runtime for the CPU only; build it with -p:Accelerator=cuda" },
        { "provider", "libonnxruntime_providers_cuda.so is not beside the program; build it with -p:Accelerator=cuda" },
        { "driver", "there is no CUDA driver (libcuda.so.1 is not found); install NVIDIA's driver" },
        { "old driver", "the CUDA driver is too old: it runs CUDA up to 12.4, 13.0 is needed" },
        { "no gpu", "the CUDA driver shows no GPU; check nvidia-smi" },
        { "ordinal", "there are 2 GPUs, numbered from 0." },
        { "library", "libcublas.so.13 is not found; install the CUDA 13 runtime libraries" },
    };

    [Fact]
    public void Whole_WithoutCudnn_CanBeUsed() => Assert.Null(Whole.Obstacle(1));

    [Theory]
    [MemberData(nameof(Obstacles))]
    public void Require_WithSomethingMissing_NamesItAndTheRemedyInOneLine(string missing, string words)
    {
        var error = Assert.Throws<ModelRuntimeException>(() => Without(missing).Require(missing == "ordinal" ? 2 : 1));
        Assert.StartsWith($"cuda:{(missing == "ordinal" ? 2 : 1)} cannot be used: {words}", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("cpu", DeviceKind.Cpu, 0)]
    [InlineData("cuda", DeviceKind.Cuda, 0)]
    [InlineData("cuda:3", DeviceKind.Cuda, 3)]
    public void Device_IsReadAsWritten(string text, DeviceKind kind, int ordinal) => Assert.Equal(new Device(kind, ordinal), Device.Parse(text));

    [Theory]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("CUDA")]
    public void Device_ThatIsNone_IsAnErrorWithThoseThereAre(string text) =>
        Assert.Contains("there are cpu, cuda and cuda:N", Assert.Throws<ModelRuntimeException>(() => Device.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Doctor_PrintsWhatWasFound()
    {
        var output = new StringWriter();
        MachineReport.Write(output, Whole);
        string text = output.ToString();
        Assert.Contains("ONNX Runtime           1.29.", text, StringComparison.Ordinal);
        Assert.Matches(@"libcurand\.so\.10 +found\n", text);
        Assert.Matches(@"libcudnn\.so\.9 +not found \(optional\)\n", text);
        Assert.Matches(@"cuda:1 +Some GPU, 85\.9 GB, compute capability 9\.0, 132 multiprocessors\n", text);
        Assert.EndsWith("cpu, cuda\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void DeviceBuffer_OnAMachineWithoutOne_SaysWhyNot()
    {
        if (CudaSurvey.Take().Obstacle(0) is not { } obstacle) return;      // this machine has a GPU
        var error = Assert.Throws<ModelRuntimeException>(() => TensorBuffer.Zeros(Device.Cuda(0), ElementType.Float, 4));
        Assert.Equal($"cuda:0 cannot be used: {obstacle}", error.Message);
    }

    private static CudaSurvey Without(string part) => part switch
    {
        "core" => Whole with { CoreKnowsCuda = false },
        "provider" => Whole with { Provider = Whole.Provider with { Found = false } },
        "driver" => Whole with { Driver = null },
        "old driver" => Whole with { Driver = Whole.Driver! with { Version = new(12, 4) } },
        "no gpu" => Whole with { Driver = Whole.Driver! with { Devices = [] } },
        "library" => Whole with { Libraries = Whole.Libraries.SetItem(2, new("libcublas.so.13", false)) },
        _ => Whole,
    };
}
