using System.Text.Json;
using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Training;

namespace OnnxLlm.Tests.Devices;

/// <summary>The runner on a GPU, as far as it can tell: what it copies, and what it says where something is missing.</summary>
[Collection(CudaStubTests.Name)]
public sealed class StubbedRunnerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly CudaStubs _stubs;
    private readonly string _folder = Directory.CreateTempSubdirectory("runner-").FullName;

    public StubbedRunnerTests(CudaStubs stubs)
    {
        _stubs = stubs;
        TinyTraining.WriteShards(Path.Combine(_folder, "data"));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// In: ids and labels of each micro-batch with the reset flag, the loss scale of a batch, then learning rate, step number and inverse loss scale.
    /// Out: the loss of each micro-batch and the norm. One launch for each graph. Nothing else, and a wait only for what comes out.
    /// </summary>
    [StubTheory]
    [InlineData("bf16")]
    [InlineData("fp16")]
    public void Step_CopiesTheTokensAndAFewScalars_AndReplaysTwoGraphs(string precision)
    {
        long[] four = Train("four", 4, precision), ten = Train("ten", 10, precision);
        long[] perStep = [.. four.Zip(ten, (a, b) => (b - a) / 6)];

        const int microBatches = 2;
        Assert.Equal(3 * microBatches + microBatches + 3, perStep[0]);      // to the device
        Assert.Equal(microBatches + 1, perStep[1]);                         // to the host
        Assert.Equal(0, perStep[2]);                                        // on the device
        Assert.Equal(0, perStep[3]);
        Assert.Equal(microBatches + 1, perStep[4]);                         // waits
        Assert.Equal(0, perStep[5]);                                        // kernels by themselves
        Assert.Equal(0, perStep[6]);                                        // captures
        Assert.Equal(microBatches + 1, perStep[7]);                         // replays
        Assert.Equal(0, perStep[8]);                                        // allocations
    }

    /// <summary>Of the runner's curve (tests/gpu/curve.json) a step takes more than 150 MB for 16 sequences and less for 8.</summary>
    [StubFact]
    public void Memory_ThatDoesNotSuffice_MakesPiecesSmaller_AndTheBatchStays()
    {
        MadeUpLanguage.Write(Path.Combine(_folder, "language"));
        var (code, error) = Run(null,
        [
            "train", Repository.PathOf("tests", "gpu", "curve.json"), "--run", Path.Combine(_folder, "short"), "--device", "cuda", "--set", $"data={Path.Combine(_folder, "language")}",
            "precision=bf16", "steps=3", "schedule.warmup_steps=0", "memory_limit_mb=150",
        ]);
        Assert.True(code == 0, error);
        var told = Assert.Single(AllLines("short"), e => e.TryGetProperty("event", out var kind) && kind.GetString() == "out of memory");
        Assert.Equal("micro-batches are run as pieces of 8 × 256 tokens instead of 16 × 256 from here on; the global batch stays 16 sequences", told.GetProperty("message").GetString());
        Assert.Equal(3 * 16 * 256, Number(Lines("short")[^1], "tokens"));
    }

    [StubFact]
    public void Metrics_HoldWhatTheGpusInstrumentsTell_OrNothingWithoutThem()
    {
        Train("watched", 2);
        var last = Lines("watched")[^1];
        Assert.Equal((0.5, 9e3, 400.0, 1.5), (Number(last, "gpu_utilization"), Math.Round(Number(last, "gpu_memory_mb") / 1.073741824), Number(last, "gpu_watts"), Math.Round(Number(last, "energy_kwh") * 3.6e6 / 2, 9)));
        Assert.False(last.TryGetProperty("cpu_share", out var share) && share.ValueKind == JsonValueKind.Number);

        var (code, error) = Run("libnvidia-ml.so.1", Arguments("unwatched", 2));
        Assert.True(code == 0, error);
        Assert.All((string[])["gpu_utilization", "gpu_memory_mb", "gpu_watts", "energy_kwh"], name =>
            Assert.False(Lines("unwatched")[^1].TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null, name));
    }

    [StubFact]
    public void Library_ThatIsMissing_IsNamedInOneLine()
    {
        var (code, error) = Run("libcublas.so.13", Arguments("missing", 4));
        Assert.Equal((2, "error: cuda:0 cannot be used: libcublas.so.13 is not found; install the CUDA 13 runtime libraries and put their folder into LD_LIBRARY_PATH.\n"), (code, error));
        (code, error) = Run(null, Arguments("old", 4), ("CUDA_STUB_DRIVER", "12040"));
        Assert.Equal((2, "error: cuda:0 cannot be used: the CUDA driver is too old: it runs CUDA up to 12.4, 13.0 is needed; install NVIDIA's driver, version 580 or later.\n"), (code, error));
        (code, error) = Run(null, Arguments("none", 4), ("CUDA_STUB_DEVICES", "0"));
        Assert.Equal(2, code);
        Assert.StartsWith("error: cuda:0 cannot be used: the CUDA driver shows no GPU;", error, StringComparison.Ordinal);
    }

    [StubFact]
    public void Doctor_FindsTheGpu()
    {
        using var doctor = _stubs.Start("OnnxLlm.Tools.dll", ["doctor"]);
        string text = doctor.StandardOutput.ReadToEnd();
        Assert.Matches(@"ONNX Runtime +1\.29\.0, built with .*CUDAExecutionProvider", text);
        Assert.Matches(@"cuda:0 +CUDA stub, 149\.3 GB, compute capability 9\.0, 132 multiprocessors\n", text);
        Assert.EndsWith("cpu, cuda\n", text, StringComparison.Ordinal);
    }

    /// <summary>The logged steps.</summary>
    private List<JsonElement> Lines(string name) => [.. AllLines(name).Where(e => e.TryGetProperty("learning_rate", out _))];

    private IEnumerable<JsonElement> AllLines(string name) => File.ReadLines(Path.Combine(_folder, name, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement);

    private static double Number(JsonElement line, string name) => line.GetProperty(name).GetDouble();

    /// <summary>The counters of a whole run.</summary>
    private long[] Train(string name, int steps, string precision = "bf16")
    {
        string report = Path.Combine(_folder, $"{name}.txt");
        var (code, error) = Run(null, Arguments(name, steps, precision), ("CUDA_STUB_REPORT", report));
        Assert.True(code == 0, error);
        return [.. File.ReadAllLines(report).Select(long.Parse)];
    }

    private (int Code, string Error) Run(string? without, string[] arguments, params (string, string)[] environment)
    {
        using var training = _stubs.Start("OnnxLlm.Training.dll", arguments, without, environment);
        var output = training.StandardOutput.ReadToEndAsync();
        string error = training.StandardError.ReadToEnd();
        Assert.True(training.WaitForExit(Patience), output.Result);
        return (training.ExitCode, error);
    }

    private string[] Arguments(string name, int steps, string precision = "bf16") =>
    [
        "train", Repository.PathOf("training", "configs", "tiny.json"), "--run", Path.Combine(_folder, name), "--device", "cuda", "--set", $"data={Path.Combine(_folder, "data")}",
        FormattableString.Invariant($"steps={steps}"), "evaluate_every=0", "checkpoint_every=0", $"precision={precision}", "global_batch=8", "micro_batch=4", "schedule.warmup_steps=0",
    ];
}
