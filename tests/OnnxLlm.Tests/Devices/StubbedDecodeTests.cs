using System.Text.Json;
using OnnxLlm.GpuCheck.Lint;
using OnnxLlm.GpuCheck.Measuring;

namespace OnnxLlm.Tests.Devices;

/// <summary>The decode loop on a GPU, as far as it can tell: the cache never leaves the device.</summary>
[Collection(CudaStubTests.Name)]
public sealed class StubbedDecodeTests(CudaStubs stubs)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly string[] Forms = ["float16", "bfloat16", "INT8", "INT8, cache INT8"];
    private static readonly int[] Batches = [1, 16, 64];

    /// <summary>In: the tokens and the lengths, together. Out: the tokens that were chosen, for which alone it waits. One launch for the whole graph.</summary>
    [StubFact]
    public void Step_CopiesTokensInAndOut_AndReplaysOneGraph()
    {
        long[] few = Decode(10), more = Decode(20);
        long[] perStep = [.. few.Zip(more, (a, b) => (b - a) / (10 * Forms.Length * Batches.Length))];
        Assert.Equal([1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0], perStep);
    }

    /// <summary>A call of another thread would break a recording, so models are loaded and unloaded between recordings only. Each takes 30 ms here, a load several times that.</summary>
    [StubFact]
    public void Recording_WhileAnotherThreadLoadsModels_IsNotDisturbed()
    {
        var result = Result<CrowdResult>("crowd", ("CUDA_STUB_CAPTURE_MS", "30"));
        Assert.Equal((12, 0), (result.Recordings, result.Disturbances));
        Assert.True(result.Loads > 3, $"{result}");
    }

    /// <summary>The copies of what is updated in place are given back.</summary>
    [StubFact]
    public void Recording_ThatFails_KeepsNoMemory() => Assert.Equal(new FailedRecordingResult(OutOfMemory: true, Kept: 0), Result<FailedRecordingResult>("starve"));

    private T Result<T>(string command, params (string, string)[] environment)
    {
        using var process = stubs.Start("OnnxLlm.GpuCheck.dll", [command], null, environment);
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(Patience));
        Assert.True(process.ExitCode == 0, errors.Result);
        return JsonSerializer.Deserialize<T>(output)!;
    }

    private long[] Decode(int steps)
    {
        string report = Path.GetTempFileName();
        using var decode = stubs.Start("OnnxLlm.GpuCheck.dll", ["decode", "--layers", "1", "--steps", FormattableString.Invariant($"{steps}")], null, ("CUDA_STUB_REPORT", report));
        var errors = decode.StandardError.ReadToEndAsync();
        string output = decode.StandardOutput.ReadToEnd();
        Assert.True(decode.WaitForExit(Patience));
        Assert.True(decode.ExitCode == 0, errors.Result);
        var results = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<DecodeResult>(line)!).ToList();
        Assert.Equal(from form in Forms from batch in Batches select (form, batch), results.Select(r => (r.Weights, r.Batch)));
        long[] counters = [.. File.ReadAllLines(report).Select(long.Parse)];
        File.Delete(report);
        return counters;
    }
}
