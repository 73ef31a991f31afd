using System.Diagnostics;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Devices;

/// <summary>
/// tests/gpu/run.sh, run on a GPU as far as it can tell, whose libraries lie where PyTorch's wheels put them. Its kernels compute nothing: whatever compares
/// numbers must fail and say so, and everything else must run, the server among it.
/// </summary>
[Collection(CudaStubTests.Name)]
public sealed class StubbedProofTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly string _folder = Directory.CreateTempSubdirectory("proof-").FullName;

    public StubbedProofTests(CudaStubs stubs)
    {
        if (CudaStubs.Missing is not null || !OperatingSystem.IsLinux()) return;
        foreach (string file in (string[])["run.sh", "join.sh", "torch_gpt2.py", "curve.json"]) File.Copy(Repository.PathOf("tests", "gpu", file), Path.Combine(_folder, file));
        stubs.Link(Path.Combine(_folder, "app"), Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "site", "nvidia", "cu13")).FullName, "lib"));
        File.WriteAllText(Python, $"#!/bin/sh\ncase \"$2\" in *sysconfig*) echo {_folder}/site;; *) exit 1;; esac\n");
        File.SetUnixFileMode(Python, UnixFileMode.UserRead | UnixFileMode.UserExecute);
    }

    private string Python => Path.Combine(_folder, "python");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [StubFact]
    public void Proof_RunsEveryStage_AndTellsWhatFailed()
    {
        var (code, output) = Run("--tiny", "verify", "profile", "train", "decode", "serve", "curve-fp32", "kernels");

        Assert.True(code == 1, output);
        Assert.Contains("SOMETHING FAILED", output, StringComparison.Ordinal);
        Assert.Contains("PyTorch is not on this machine", output, StringComparison.Ordinal);
        string table = output[output.IndexOf("| training", StringComparison.Ordinal)..];
        Assert.Matches(@"\| OnnxLlm, ONNX Runtime 1\.29\.\d+ \|", table);
        Assert.Matches(@"profile of step: \d{3} nodes on CUDAExecutionProvider, 0 copies", table);
        Assert.Matches(@"profile of tokens: \d+ nodes on CUDAExecutionProvider, 0 copies", table);
        Assert.Equal(12, table.Split("- decode GPT-2").Length - 1);
        Assert.Contains("- kernels: not measured, Nsight Compute (ncu) is not on this machine", table, StringComparison.Ordinal);
        Assert.Matches(@"- measured on \d{4}-\d\d-\d\d, ", table);
        Assert.Matches(@"16 clients over HTTP: [1-9]", table);
        Assert.Matches(@"\*\*FAILED\*\* verify, after \d+ s: exit code 1: .*WRONG", table);
        Assert.Equal(2, table.Split("**FAILED**").Length);
    }

    [StubFact]
    public void Proof_WithATimeLimit_LeavesOutTheRestAndPrintsTheTable()
    {
        var (code, output) = Run("--tiny", "--seconds", "4", "decode", "serve");

        Assert.True(code == 1, output);
        Assert.Contains("**FAILED** decode, after 0 s: left out, no time", output, StringComparison.Ordinal);
    }

    /// <summary>On a machine where it can be run at all. It is imported by nothing else here.</summary>
    [StubFact]
    public void Peer_IsPython()
    {
        if (!File.Exists("/usr/bin/python3")) return;
        using var compile = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-m", "py_compile", Path.Combine(_folder, "torch_gpt2.py")]) { RedirectStandardError = true })!;
        string errors = compile.StandardError.ReadToEnd();
        Assert.True(compile.WaitForExit(Patience) && compile.ExitCode == 0, errors);
    }

    private (int Code, string Output) Run(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(_folder, "run.sh"), arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PYTHON"] = Python;
        using var proof = Process.Start(start)!;
        var errors = proof.StandardError.ReadToEndAsync();
        string output = proof.StandardOutput.ReadToEnd();
        Assert.True(proof.WaitForExit(Patience), output);
        return (proof.ExitCode, output + errors.Result);
    }
}
