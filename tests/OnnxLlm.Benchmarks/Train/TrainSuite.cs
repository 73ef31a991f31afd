using System.Globalization;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Train;

internal sealed record TrainOptions(TrainSize Size, int Steps, int Rounds, int Threads, string Python, string? Report)
{
    /// <summary>Whether the peer also runs in double precision, for the losses.</summary>
    public bool Double { get; init; } = true;

    /// <summary>Steps of a run of ours by operators; 0 for none.</summary>
    public int ProfiledSteps { get; init; }
}

/// <summary>
/// One training step of GPT-2 against PyTorch: same weights, batches and optimizer, each side in its own process, in turn.
/// The losses of every step must agree, or the times would compare different work. Rounding errors grow from step to step on both sides, so the
/// losses are held to those of PyTorch in double precision, which is not timed.
/// </summary>
internal sealed class TrainSuite(TrainOptions options, TimeProvider time, TextWriter output)
{
    /// <summary>Steps at the start of a run that are not timed: allocation, thread pools, just-in-time compilation.</summary>
    public const int WarmUp = 3;

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("train");
        TrainJob job = TrainJob.Of(options.Size, options.Threads);
        job.Write(folder.Path);
        new TrainData(job).Write(folder.Path);
        TrainResult result = Measure(folder.Path);
        string section = TrainReport.Section(result, options, time.GetLocalNow());
        return new Publication($"train {options.Size.Name}", section, result.OthersShare, result.Goals).To(output, options.Report);
    }

    private TrainResult Measure(string folder)
    {
        var machine = new QuietMachine(time, options.Threads, output);
        IReadOnlyList<Round<WorkerRun>> rounds = Alternation.Run(options.Rounds, machine, () => Logged(Peer(folder)), () => Logged(Ours(folder)));
        return new TrainResult(options.Size, rounds, options.Double ? Exact(folder) : null, [.. TrainVariant.All.Select(variant => (variant, Run(variant, folder)))], options.ProfiledSteps > 0 ? Profile(folder) : [], machine.PeakRate);
    }

    private WorkerRun Exact(string folder)
    {
        output.WriteLine("  the same in double precision, for the losses");
        return Peer(folder, "--double").Run();
    }

    private WorkerRun Run(TrainVariant variant, string folder)
    {
        output.WriteLine($"  {variant.Setting}");
        return Logged(Ours(folder, options.Steps, variant.Arguments));
    }

    private IReadOnlyList<OperatorTime> Profile(string folder)
    {
        output.WriteLine($"  profile of {options.ProfiledSteps} steps");
        return OrtProfile.Read(Ours(folder, options.ProfiledSteps, "--profile", Path.Combine(folder, "profile")).Run().Lines[^1].Profiles!);
    }

    private WorkerRun Logged(WorkerProcess worker)
    {
        WorkerRun run = worker.Run();
        Summary step = TrainResult.StepTime(run);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {worker.Name}: {step.Median:F1} ms a step (minimum {step.Minimum:F1}), {run.PeakBytes / 1e6:F0} MB, others {run.OthersShare:P0}, loss {run.Steps.First().Loss:F5} to {run.Steps.Last().Loss:F5}"));
        if (run.Lines[0].LinearAlgebra is "libblas" or "openblas-pthread")
            throw new BenchmarkException($"PyTorch runs on {run.Lines[0].LinearAlgebra}, which is many times slower than it can be; install libopenblas0-openmp.");
        return run;
    }

    private WorkerProcess Ours(string folder) => Ours(folder, options.Steps);

    private static WorkerProcess Ours(string folder, int steps, params IReadOnlyList<string> more) =>
        WorkerProcess.Self("ours", ["train-worker", folder, steps.ToString(CultureInfo.InvariantCulture), .. more]);

    /// <summary>PyTorch with what makes it fastest: one OpenMP team, and AVX-512 kernels, which 1.13 does not choose by itself.</summary>
    private WorkerProcess Peer(string folder, params IReadOnlyList<string> more)
    {
        string script = Path.Combine(AppContext.BaseDirectory, "peers", "train_gpt2.py");
        var environment = new Dictionary<string, string> { ["OMP_NUM_THREADS"] = options.Threads.ToString(CultureInfo.InvariantCulture) };
        if (Avx512F.IsSupported)
            environment["ATEN_CPU_CAPABILITY"] = "avx512";
        return new("PyTorch", options.Python, [script, folder, options.Steps.ToString(CultureInfo.InvariantCulture), .. more], environment);
    }
}
