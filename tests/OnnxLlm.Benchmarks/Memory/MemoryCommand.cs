using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Memory;

/// <summary>`memory`.</summary>
internal static class MemoryCommand
{
    public static Command Create()
    {
        Option<int> steps = SuiteOptions.Number("--steps", 10, MemorySuite.WarmUp + 1, "steps of each run");
        Option<int> threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("memory", "Peak memory of training, with and without activation checkpointing.") { steps, threads, report, quick };
        command.SetAction(parsed => new MemorySuite(
            new MemoryOptions(parsed.GetValue(steps), parsed.GetValue(threads), parsed.GetValue(quick) ? null : parsed.GetValue(report)),
            TimeProvider.System, Console.Out).Run());
        return command;
    }
}
