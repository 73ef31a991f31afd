using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Scaling;

/// <summary>`scaling`.</summary>
internal static class ScalingCommand
{
    public static Command Create()
    {
        Option<int> steps = SuiteOptions.Number("--steps", 6, ScalingSuite.WarmUp + 1, "steps of each run");
        Option<int> rounds = SuiteOptions.Number("--rounds", 2, 1, "runs of each length, in turn"), threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("scaling", "Time per token and memory of training against the length of sequences.") { steps, rounds, threads, report, quick };
        command.SetAction(parsed => new ScalingSuite(
            parsed.GetValue(steps), parsed.GetValue(rounds), parsed.GetValue(threads), parsed.GetValue(quick) ? null : parsed.GetValue(report), TimeProvider.System, Console.Out).Run());
        return command;
    }
}
