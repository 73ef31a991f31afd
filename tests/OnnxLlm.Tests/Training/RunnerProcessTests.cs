using System.Diagnostics;
using System.Runtime.InteropServices;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Runtime.OrtTraining;
using OnnxLlm.Tests.Support;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;

namespace OnnxLlm.Tests.Training;

/// <summary>The runner as a process of its own: exit codes, signals, and kills.</summary>
public sealed class RunnerProcessTests : IDisposable
{
    private const int Terminate = 15;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("runner-").FullName;

    public RunnerProcessTests() => TinyTraining.WriteShards(Path.Combine(_folder, "data"));

    private string Run => Path.Combine(_folder, "run");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Terminated_ItSavesAndSaysResumeMe()
    {
        if (OperatingSystem.IsWindows()) return;      // no SIGTERM
        using var training = Start(Train("steps=1000000"));
        ReadLines(training, 5);
        Assert.Equal(0, Kill(training.Id, Terminate));

        var rest = training.StandardOutput.ReadToEnd();
        Assert.True(training.WaitForExit(Patience));

        Assert.Equal(ExitCodes.ResumeMe, training.ExitCode);
        Assert.EndsWith($"Stopped; everything is saved. Go on with: resume {Run}\n", rest, StringComparison.Ordinal);
        Assert.NotNull(Store.Latest(_ => { }));
    }

    /// <summary>
    /// Kills the process again and again while it writes a checkpoint per step; what is left must load, and the end must be the same.
    /// The environment variable ONNXLLM_KILLS asks for more kills than the usual five.
    /// </summary>
    [Theory]
    [InlineData("none")]
    [InlineData("disk")]
    public void Killed_AtAnyMoment_ItResumesToTheSameWeights(string offload)
    {
        var kills = int.TryParse(Environment.GetEnvironmentVariable("ONNXLLM_KILLS"), out var wanted) ? wanted : 5;
        var steps = $"steps={12 * kills}";
        var random = new Random(11);
        for (var kill = 0; kill < kills; kill++)
        {
            using var training = Start(kill == 0 ? Train(steps, $"optimizer_offload={offload}") : ["resume", Run]);
            ReadLines(training, random.Next(4, 25));
            training.Kill();
            Assert.True(training.WaitForExit(Patience));
            Assert.NotNull(Store.Latest(warning => Assert.Fail(warning)));
        }
        Assert.Equal(ExitCodes.Finished, Finish(["resume", Run]).Code);
        var weights = File.ReadAllBytes(Path.Combine(Store.Latest(_ => { })!.Path, "model.safetensors"));
        Directory.Delete(Run, recursive: true);

        Assert.Equal(ExitCodes.Finished, Finish(Train(steps)).Code);

        Assert.Equal(File.ReadAllBytes(Path.Combine(Store.Latest(_ => { })!.Path, "model.safetensors")), weights);
    }

    [Fact]
    public void Gpu_ThatCannotBeUsed_IsOneLineAndNoFallback()
    {
        if (CudaSurvey.Take().Obstacle(0) is not { } obstacle) return;      // this machine has a GPU
        Assert.Equal((ExitCodes.Mistake, $"error: cuda:0 cannot be used: {obstacle}\n"), Finish([.. Train("steps=10"), "--device", "cuda"]));
        Assert.False(File.Exists(Path.Combine(Run, "run.json")));
    }

    [Fact]
    public void Mistakes_AreOneLineAndExitCodeTwo()
    {
        Assert.Equal((ExitCodes.Mistake, $"error: '{Run}' is not a run: it has no run.json.\n"), Finish(["resume", Run]));
        var (code, error) = Finish(Train("steps=10", "optimizer.lr=1"));
        Assert.Equal(ExitCodes.Mistake, code);
        Assert.Matches("^error: Config '.*tiny.json': optimizer.lr: unknown key; .*\n$", error);
        (code, error) = Finish(Train("steps=10", "data=nowhere"));
        Assert.Equal((ExitCodes.Mistake, "error: shard folder 'nowhere' does not exist\n"), (code, error));
        (code, error) = Finish([.. Train("steps=10"), "--engine", "ort-trainin"]);
        Assert.Equal(ExitCodes.Mistake, code);
        Assert.Matches("^error: Config '.*tiny.json': engine: \"ort-trainin\" is none of onnx, ort-training; did you mean 'ort-training'\\?\n$", error);
        (code, error) = Finish([.. Train("steps=10"), "--device", "gpu"]);
        Assert.Equal((ExitCodes.Mistake, "error: 'gpu' is no device; there are cpu, cuda and cuda:N for the GPU with that number.\n"), (code, error));
        Assert.Equal((ExitCodes.Mistake, "error: Required argument missing for command: 'resume'; add --help to see what there is\n"), Finish(["resume"]));
        Assert.False(Directory.Exists(Run));
    }

    /// <summary>The native library that comes through npm cannot train by itself.</summary>
    [Fact]
    public void OrtTraining_WithoutItsNativeLibrary_SaysWhereToGetItAndWritesNothing()
    {
        if (TrainingApi.IsAvailable) return;
        var (code, error) = Finish([.. Train("steps=10", "optimizer.decay=all"), "--engine", "ort-training"]);

        Assert.Equal(ExitCodes.Mistake, code);
        Assert.Matches(@"^error: ONNX Runtime [\d.]+, as built here, has no training API\. .*Microsoft\.ML\.OnnxRuntime\.Training 1\.19\.2.*-p:OnnxRuntimeSource=nuget-training.*\n$", error);
        Assert.False(Directory.Exists(Run));
    }

    [Fact]
    public void Plan_IsPrinted_AndNothingStarts()
    {
        using var planning = Start([.. Train("steps=10"), "--plan"]);
        var table = planning.StandardOutput.ReadToEnd();
        Assert.True(planning.WaitForExit(Patience));
        Assert.Equal(ExitCodes.Finished, planning.ExitCode);
        Assert.Contains("activations of a step", table, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Run));
        Assert.Equal(
            (ExitCodes.Mistake, "error: The plan of memory is for decoders on engine onnx with kernels on the CPU; of other runs it would be wrong.\n"),
            Finish([.. Train("steps=10", "kernels=false"), "--plan"]));
    }

    [Theory]
    [InlineData("optimizer.type=adamw", "decays norms and biases as it does matrices: set optimizer.decay to all (our own engine then does so too), or optimizer.weight_decay to 0")]
    [InlineData("optimizer.type=sgd", "has an SGD without weight decay: set optimizer.weight_decay to 0, or optimizer.type to adamw")]
    [InlineData("optimizer.type=muon", "has no Muon: set optimizer.type to adamw or sgd")]
    [InlineData("optimizer.moments=int8", "keeps moments in single precision: set optimizer.moments to fp32")]
    [InlineData("optimizer.layer_decay=0.9", "has one learning rate for all parameters: set optimizer.layer_decay to 1")]
    public void OrtTraining_WithWhatItCannotDo_SaysWhatToChange(string setting, string problem)
    {
        Assert.Equal((ExitCodes.Mistake, $"error: ORT Training {problem}.\n"), Finish([.. Train("steps=10", setting), "--engine", "ort-training"]));
        Assert.False(Directory.Exists(Run));
    }

    /// <summary>A real limit: the runtime's arena may hold one megabyte.</summary>
    [Theory]
    [InlineData("none")]
    [InlineData("disk")]
    public void MemoryLimit_IsKept_BySmallerPieces(string offload)
    {
        using var training = Start(Train("steps=8", "model.intermediate_size=768", "micro_batch=8", "memory_limit_mb=2", "evaluate_tokens=128", $"optimizer_offload={offload}"));
        var output = training.StandardOutput.ReadToEnd();
        Assert.True(training.WaitForExit(Patience));
        Assert.Equal(ExitCodes.Finished, training.ExitCode);
        Assert.Contains("micro-batches are run as pieces of 4 × 16 tokens instead of 8 × 16 from here on; the global batch stays 8 sequences", output, StringComparison.Ordinal);
    }

    private CheckpointStore Store => new(Path.Combine(Run, "checkpoints"), 2);

    private string[] Train(params string[] overrides) =>
        ["train", Repository.PathOf("training", "configs", "tiny.json"), "--run", Run, "--set", $"data={Path.Combine(_folder, "data")}", "threads=1", "checkpoint_every=1", .. overrides];

    internal static Process Start(string[] arguments)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "OnnxLlm.Training.dll");
        return Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    private static (int Code, string Error) Finish(string[] arguments)
    {
        using var process = Start(arguments);
        var error = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(Patience));
        return (process.ExitCode, error.Result);
    }

    private static void ReadLines(Process process, int count)
    {
        for (var i = 0; i < count; i++) Assert.NotNull(process.StandardOutput.ReadLine());
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
