using System.Text.Json;
using OnnxLlm.GpuCheck.Lint;

namespace OnnxLlm.Tests.Devices;

/// <summary>
/// Every graph that is written for CUDA, run on the real provider over stub libraries: where its nodes are placed, what is copied, which kernels are
/// launched, and whether it can be captured. Numbers are not looked at.
/// </summary>
[Collection(CudaStubTests.Name)]
public sealed class GpuLintTests(CudaStubs stubs)
{
    /// <summary>Of every model here.</summary>
    private const int Layers = 2;

    /// <summary>Kernels that hold a T × T matrix, or that only an operator in the wrong type or form would launch.</summary>
    private static readonly string[] Unwanted = ["UnfusedSoftmax", "cudnn", "gemmBatched", "Memcpy"];

    [StubFact]
    public void Graphs_ForCuda_StayOnTheDevice()
    {
        var findings = Findings();
        var refused = Assert.Single(findings, f => f.Graph == "refused");
        Assert.Contains("CPU EP", refused.Error, StringComparison.Ordinal);

        var graphs = findings.Where(f => f != refused && !f.Graph.EndsWith(" prompts", StringComparison.Ordinal)).ToList();
        Assert.InRange(graphs.Count, 46, 200);
        Assert.All(graphs, Check);
        Assert.All(findings.Where(f => f.Graph.EndsWith(" prompts", StringComparison.Ordinal)), CheckPrompts);
        Assert.All(findings.Where(f => f.Graph.EndsWith(" tokens", StringComparison.Ordinal)), CheckTokens);
        Assert.All(findings.Where(f => f.Graph.Contains(" int8 ", StringComparison.Ordinal)), f => Assert.Contains("CUDAExecutionProvider MatMulNBits", f.Nodes.Keys));
        foreach (string precision in (string[])["Fp16", "Bf16"])
            Assert.All(graphs.Where(f => f.Graph.EndsWith($"{precision} step", StringComparison.Ordinal)), CheckNarrow);
        Assert.All(graphs.Where(f => f.Graph.EndsWith(" optimizer", StringComparison.Ordinal) && !f.Graph.StartsWith("Muon", StringComparison.Ordinal) && !f.Graph.StartsWith("rates by layer", StringComparison.Ordinal)), f =>
            Assert.True(f.Run!.Launched <= 80, $"{f.Graph} takes {f.Run.Launched} launches"));
        var (step, update) = (graphs.Single(f => f.Graph == "gpt2 Bf16 step"), graphs.Single(f => f.Graph == "gpt2 Bf16 optimizer"));
        Assert.Equal(2, step.Nodes["CUDAExecutionProvider Gelu"]);      // the gradients read what the forward pass computed
        Assert.InRange(step.Run!.Launched, 1, 431);
        Assert.InRange(update.Run!.Launched, 1, 65);
    }

    private static void Check(Finding f)
    {
        Assert.True(f.Error is null, $"{f.Graph}: {f.Error}");
        Assert.NotEmpty(f.Nodes);
        Assert.All(f.Nodes.Keys, node => Assert.StartsWith("CUDAExecutionProvider ", node, StringComparison.Ordinal));
        Assert.DoesNotContain(f.Nodes.Keys, node => node.Contains("Memcpy", StringComparison.Ordinal));
        Assert.Equal((f.Graph, 0L, 0L, 0L), (f.Graph, f.Run!.ToDevice, f.Run.ToHost, f.Run.Synchronised));
        Assert.NotEqual(0, f.Run.Launched);
        Assert.DoesNotContain(f.Run.Kernels.Keys, kernel => Unwanted.Any(name => kernel.Contains(name, StringComparison.OrdinalIgnoreCase)));

        // Two runs to learn what memory it takes, one that is recorded and replayed, and the run that was asked for; then one launch for all.
        Assert.Equal((f.Graph, 1L, 2L), (f.Graph, f.Capture!.Captured, f.Capture.Replayed));
        Assert.Empty(f.Changed);
        Assert.InRange(f.Capture.Launched, 3 * f.Run.Launched, 3 * f.Run.Launched + 10);
        var replay = f.Replay! with { Kernels = [] };
        Assert.Equal((f.Graph, 1L, 0L), (f.Graph, replay.Replayed, replay.ToDevice + replay.ToHost + replay.OnDevice + replay.Synchronised + replay.Launched));
    }

    /// <summary>Only what works out extents is on the host; attention, products and norms are not.</summary>
    private static void CheckPrompts(Finding f)
    {
        Assert.True(f.Error is null, $"{f.Graph}: {f.Error}");
        string[] onHost = [.. f.Nodes.Keys.Where(node => !node.StartsWith("CUDAExecutionProvider ", StringComparison.Ordinal)).Select(node => node.Split(' ')[1])];
        Assert.Empty(onHost.Except(["Shape", "Reshape", "Cast", "Squeeze", "Sub", "Range"]));
        Assert.Contains("CUDAExecutionProvider GroupQueryAttention", f.Nodes.Keys);
        Assert.Equal((f.Graph, Layers), (f.Graph, Launches(f, "flash_fwd_kernel")));
        Assert.DoesNotContain(f.Run!.Kernels.Keys, kernel => Unwanted.Any(name => kernel.Contains(name, StringComparison.OrdinalIgnoreCase)));

        // What the shapes of that call are made of.
        Assert.Equal((f.Graph, 0L), (f.Graph, f.Run.ToHost));
        Assert.InRange(f.Run.ToDevice, 0, 2);
    }

    /// <summary>
    /// One kernel of attention a layer: of those for a single query, or the one that splits the keys, which bytes get after they are widened. That is where no kernel for bytes is compiled for the shape;
    /// for Qwen2's here there is one, which gets them as they are.
    /// </summary>
    private static void CheckTokens(Finding f)
    {
        Assert.Equal((f.Graph, Layers), (f.Graph, Launches(f, "kernel_mha") + Launches(f, "flash_fwd_splitkv_kernel") + Launches(f, "flash_fwd_kernel")));
        if (!f.Graph.Contains("byte-cache", StringComparison.Ordinal)) return;
        bool read = f.Graph.StartsWith("qwen2", StringComparison.Ordinal);
        Assert.Equal((f.Graph, read ? 0 : Layers), (f.Graph, Launches(f, "DequantizeKV")));
        Assert.Equal((f.Graph, read ? Layers : 0), (f.Graph, f.Run!.Kernels.Where(k => k.Key.Contains("kernel_mha", StringComparison.Ordinal) && k.Key.Contains("_int8", StringComparison.Ordinal)).Sum(k => k.Value)));
    }

    private static int Launches(Finding f, string kernel) => f.Run!.Kernels.Where(k => k.Key.Contains(kernel, StringComparison.Ordinal)).Sum(k => k.Value);

    /// <summary>Two layers: one kernel of attention each, and every product of matrices in 16 bits but the sums of the norms' gradients.</summary>
    private static void CheckNarrow(Finding f)
    {
        Assert.Equal((f.Graph, Layers), (f.Graph, Launches(f, "flash_fwd_kernel")));
        Assert.Equal(Layers, f.Nodes["CUDAExecutionProvider Attention"]);
        int single = f.Run!.Kernels.Where(k => k.Key.StartsWith("cublasSgemm", StringComparison.Ordinal)).Sum(k => k.Value);
        Assert.InRange(single, 0, f.Nodes["CUDAExecutionProvider MatMul"]);
        Assert.Contains(f.Run.Kernels.Keys, k => k.StartsWith("cublasGemm", StringComparison.Ordinal));
    }

    private List<Finding> Findings()
    {
        using var lint = stubs.Start("OnnxLlm.GpuCheck.dll", ["lint"]);
        var errors = lint.StandardError.ReadToEndAsync();
        List<Finding> findings = [.. Lines(lint.StandardOutput).Select(line => JsonSerializer.Deserialize<Finding>(line)!)];
        lint.WaitForExit();
        Assert.True(lint.ExitCode == 0, errors.Result);
        return findings;
    }

    private static IEnumerable<string> Lines(StreamReader reader)
    {
        while (reader.ReadLine() is { } line) yield return line;
    }
}
