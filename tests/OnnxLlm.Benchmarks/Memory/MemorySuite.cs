using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Graphs.Autodiff;

namespace OnnxLlm.Benchmarks.Memory;

internal sealed record MemoryOptions(int Steps, int Threads, string? Report);

/// <summary>What training needs at most: the quickstart as it is, and models of three depths with and without activation checkpointing.</summary>
internal sealed class MemorySuite(MemoryOptions options, TimeProvider time, TextWriter output)
{
    /// <summary>Steps at the start of a run that are not timed.</summary>
    public const int WarmUp = 2;
    private const int Vocabulary = 4096;

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("memory");
        string config = Path.Combine(BenchmarkDocument.Root, "training", "configs", "quickstart.json");
        var runner = new RunnerProcess(config, MemoryData.Write(folder.Path, Vocabulary, noise: 1), folder.Path, options.Threads);
        var result = new MemoryResult(
            Measure(runner, MemoryCase.Quickstart),
            [.. from layers in MemoryCase.Depths
                from kind in Enum.GetValues<ActivationCheckpointing>()
                select new DepthUse(layers, kind, Measure(runner, MemoryCase.Deep(layers, kind, options.Steps)))],
            Measure(runner, MemoryCase.Offloaded("none", options.Steps)), Measure(runner, MemoryCase.Offloaded("disk", options.Steps)));
        string section = MemoryReport.Section(result, options, time.GetLocalNow());
        return new Publication("memory", section, result.OthersShare, result.Goals).To(output, options.Report);
    }

    private TrainingUse Measure(RunnerProcess runner, MemoryCase measured)
    {
        TrainingUse use = runner.Run(measured);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {measured.Name}: {use.PeakBytes / 1e6:F0} MB ({use.PredictedBytes / 1e6:F0} predicted), {use.StepMilliseconds:F0} ms a step, loss {use.Loss:R}; others {use.OthersShare:P0}"));
        return use;
    }
}
