using System.Diagnostics;
using System.Text.Json.Nodes;
using OnnxLlm.GpuCheck.Measuring;

namespace OnnxLlm.Tests.Devices;

/// <summary>The server on a GPU, as far as it can tell: what it says where something is missing, and what its metrics tell of the GPU.</summary>
[Collection(CudaStubTests.Name)]
public sealed class StubbedServerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly CudaStubs _stubs;
    private readonly string _folder = Directory.CreateTempSubdirectory("server-").FullName;

    public StubbedServerTests(CudaStubs stubs)
    {
        _stubs = stubs;
        RandomPackage.Write(Model, Workload.Tiny.Model);
    }

    private string Model => Path.Combine(_folder, "model");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [StubFact]
    public void Library_ThatIsMissing_IsNamedInOneLine()
    {
        using var server = Start("libcublas.so.13");
        _ = server.StandardOutput.ReadToEndAsync();
        string error = server.StandardError.ReadToEnd();
        Assert.True(server.WaitForExit(Patience), error);
        Assert.Equal((2, "cuda:0 cannot be used: libcublas.so.13 is not found; install the CUDA 13 runtime libraries and put their folder into LD_LIBRARY_PATH.\n"), (server.ExitCode, error));
    }

    [StubFact]
    public async Task Metrics_HoldWhatTheGpusInstrumentsTell()
    {
        string text = await ScrapeAsync(without: null);
        Assert.Contains("onnxllm_gpu_memory_used_bytes{} 9663676416\n", text, StringComparison.Ordinal);
        Assert.Contains("onnxllm_gpu_utilization_ratio{} 0.5\n", text, StringComparison.Ordinal);
        Assert.Contains("onnxllm_gpu_power_watts{} 400\n", text, StringComparison.Ordinal);
    }

    [StubFact]
    public async Task Metrics_WithoutTheLibraryOfTheInstruments_HaveNoLineOfTheGpu()
    {
        string text = await ScrapeAsync(without: "libnvidia-ml.so.1");
        Assert.Contains("onnxllm_model_info", text, StringComparison.Ordinal);
        Assert.DoesNotContain("onnxllm_gpu", text, StringComparison.Ordinal);
    }

    private async Task<string> ScrapeAsync(string? without)
    {
        using var server = Start(without);
        try
        {
            using var http = new HttpClient { BaseAddress = await AddressAsync(server), Timeout = Patience };
            return await http.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        }
        finally
        {
            server.Kill();
        }
    }

    private static async Task<Uri> AddressAsync(Process server)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (await server.StandardOutput.ReadLineAsync(limit.Token) is { } line)
            if ((string?)JsonNode.Parse(line)?["State"]?["Urls"] is { } address) return new Uri(address);
        throw new InvalidOperationException(await server.StandardError.ReadToEndAsync(limit.Token));
    }

    private Process Start(string? without) =>
        _stubs.Start("OnnxLlm.Serving.dll", ["--model", Model, "--name", "model", "--urls", "http://127.0.0.1:0", "--device", "cuda", "--slots", "1"], without);
}
