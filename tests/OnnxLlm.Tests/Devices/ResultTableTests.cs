using System.Text.Json;
using OnnxLlm.GpuCheck;
using OnnxLlm.GpuCheck.Measuring;

namespace OnnxLlm.Tests.Devices;

/// <summary>What run.sh collects, and what it is packed from.</summary>
public sealed class ResultTableTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("results-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Table_HoldsWhatFailedBesideWhatWasMeasured()
    {
        Write("train.json", JsonSerializer.Serialize(new SpeedResult("ours", 100, 327_680, 1e9, 40_000, 11, 10)));
        Write("torch-eager.json", JsonSerializer.Serialize(new SpeedResult("theirs", 125, 262_144, 0, 50_000, 11, 10)) + "\nsomething that it also printed");
        Write("torch-compiled.json", "{\"Name\": \"broken off");
        Write("stages.tsv", "train\t20\tok\ntorch-eager\t30\tok\ntorch-compiled\t150\tstopped after 150 s");

        string table = Table();

        Assert.Contains("| ours | 100.0 | 327,680 | 33.1 % | 40,000 | 11.000 to 10.000 |", table, StringComparison.Ordinal);
        Assert.Contains("| torch-compiled: stopped after 150 s | – |", table, StringComparison.Ordinal);
        Assert.Contains("- speed over PyTorch eager: 1.25, goal at least 1: met", table, StringComparison.Ordinal);
        Assert.Contains("- MFU: 0.3313, goal at least 0.4: **missed**", table, StringComparison.Ordinal);
        Assert.Contains("- PyTorch's memory over ours: 1.25, goal at least 1: met", table, StringComparison.Ordinal);
        Assert.Contains("- **FAILED** torch-compiled, after 150 s: stopped after 150 s", table, StringComparison.Ordinal);
    }

    [Fact]
    public void Table_SumsTheTimesOfKernels()
    {
        Write("kernels.json", """
            ==PROF== Connected to process 12
            "ID","Kernel Name","gpu__time_duration.sum"
            "","","us"
            "0","add(float *, ""x"")","1,500.5"
            "1","mul","500"
            "2","add(float *, ""x"")","0.5"
            """);

        string table = Table();

        Assert.Contains("- kernels of one training step: 3 launches, 2.0 ms", table, StringComparison.Ordinal);
        Assert.Contains("1.50 ms 75.0 %     2 x add(float *, \"x\")", table, StringComparison.Ordinal);
    }

    /// <summary>A curve that is 2 % off in the middle and right at the end has missed the goal; the last steps, fewer than a window, do not count.</summary>
    [Fact]
    public void Table_ComparesCurvesOverWindows_AndTellsWhatRunsReported()
    {
        Log("fp32", Enumerable.Repeat(2.0, 160), """, "gpu_utilization": 0.9, "gpu_memory_mb": 8123.4, "gpu_watts": 500, "energy_kwh": 0.25""");
        Log("bf16", [.. Enumerable.Repeat(2.0, 50), .. Enumerable.Repeat(2.04, 50), .. Enumerable.Repeat(2.001, 50), .. Enumerable.Repeat(9.0, 10)]);
        Log("straight", [3, 2.5, 2]);
        Log("resumed", [3, 2.5, 2.002]);
        File.AppendAllText(Path.Combine(_folder, "resumed", "metrics.jsonl"), """{"step": 2, "event": "resumed", "message": "the next loss has the recorded bits"}""");
        Log("oom", [3]);

        string table = Table();

        Assert.Contains("- loss of bf16: 2.0010 at the end, float32 2.0000; means of 50 steps differ by at most 2.00 %, at the end by 0.05 %, goal at most 1 %: **missed**", table, StringComparison.Ordinal);
        Assert.Contains("- resumed half-way of 3 steps beside straight on: losses differ by at most 1.0E-003; the next loss has the recorded bits", table, StringComparison.Ordinal);
        Assert.Contains("**it sufficed**", table, StringComparison.Ordinal);
        Assert.Contains("- the GPU in the run in fp32: 90 % busy, 8123 MB, 500 W, 0.25 kWh", table, StringComparison.Ordinal);
    }

    [Fact]
    public void Table_ComparesDecodingWithTheCardsBandwidth_AndRepeatsWhatWasVerified()
    {
        Write("decode.json", JsonSerializer.Serialize(new DecodeResult("INT8", 1, 9000, 2880)) + "\n" + JsonSerializer.Serialize(new DecodeResult("INT8", 16, 90000, 1200)));
        Write("verify.json", "verify overflow     cuda:0  loss scale 65536 to 32768: ok\nsomething else\n");
        Write("stages.tsv", "kernels\t0\tnot measured, Nsight Compute (ncu) is not on this machine");

        string table = Table();

        Assert.Contains("INT8, batch 1: 9,000 tokens/s, weights and cache read at 2,880 GB/s, of the card's bandwidth: 0.6, goal at least 0.6: met", table, StringComparison.Ordinal);
        Assert.Contains("INT8, batch 16: 90,000 tokens/s, weights and cache read at 1,200 GB/s, 25 % of the card's bandwidth", table, StringComparison.Ordinal);
        Assert.Contains("- verify overflow     cuda:0  loss scale 65536 to 32768: ok", table, StringComparison.Ordinal);
        Assert.DoesNotContain("something else", table, StringComparison.Ordinal);
        Assert.Contains("- kernels: not measured, Nsight Compute (ncu) is not on this machine", table, StringComparison.Ordinal);
        Assert.DoesNotContain("FAILED", table, StringComparison.Ordinal);
    }

    /// <summary>A container of two kernels for two GPUs, and one that has nothing for the GPU at hand.</summary>
    [Fact]
    public void Trim_EmptiesWhatOtherGpusWouldRun()
    {
        byte[] library = [.. new byte[8], .. Container((80, 1), (90, 2)), .. Container((120, 3)), .. new byte[3]];
        string path = Path.Combine(_folder, "library.so");
        File.WriteAllBytes(path, library);

        FatBinaries.Keep(path, 90);

        byte[] expected = [.. new byte[8], .. Container((80, 0), (90, 2)), .. Container((120, 3)), .. new byte[3]];
        Assert.Equal(expected, File.ReadAllBytes(path));
    }

    [Fact]
    public void Trim_OfAFileWithoutKernels_IsRefused()
    {
        string path = Path.Combine(_folder, "text");
        File.WriteAllText(path, new string('x', 100));
        Assert.Throws<GpuCheckException>(() => FatBinaries.Keep(path, 90));
    }

    private string Table()
    {
        var output = new StringWriter();
        new ResultTable(_folder, peakTflops: 989, peakBandwidth: 4800).Print(output);
        return output.ToString();
    }

    private void Log(string run, IEnumerable<double> losses, string more = "")
    {
        Directory.CreateDirectory(Path.Combine(_folder, run));
        File.WriteAllLines(Path.Combine(_folder, run, "metrics.jsonl"), losses.Select((loss, i) => FormattableString.Invariant($$"""{"step": {{i + 1}}, "learning_rate": 0.1, "loss": {{loss}}{{more}}}""")));
    }

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_folder, name), text);

    /// <summary>In NVIDIA's layout: magic number, version, length of the header, of the rest; then entries of kind 2, machine code, each with a payload.</summary>
    private static byte[] Container(params (int Capability, byte Fill)[] entries)
    {
        byte[][] bodies = [.. entries.Select(e => (byte[])
        [
            .. BitConverter.GetBytes((short)2), .. BitConverter.GetBytes((short)0x101), .. BitConverter.GetBytes(64), .. BitConverter.GetBytes(24L), .. new byte[12],
            .. BitConverter.GetBytes(e.Capability), .. new byte[32], .. Enumerable.Repeat(e.Fill, 24),
        ])];
        return [.. BitConverter.GetBytes(0xBA55ED50), .. BitConverter.GetBytes((short)1), .. BitConverter.GetBytes((short)16), .. BitConverter.GetBytes(bodies.Sum(b => (long)b.Length)), .. bodies.SelectMany(b => b)];
    }
}
