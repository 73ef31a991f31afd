using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Precision;

/// <summary>`precision`.</summary>
internal static class PrecisionCommand
{
    public static Command Create()
    {
        Option<int> steps = SuiteOptions.Number("--steps", 300, 2 * PrecisionResult.Window, "steps of each run");
        Option<int> threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("precision", "Loss curves in float16 and bfloat16 beside float32.") { steps, threads, report, quick };
        command.SetAction(parsed => new PrecisionSuite(
            parsed.GetValue(steps), parsed.GetValue(threads), parsed.GetValue(quick) ? null : parsed.GetValue(report), TimeProvider.System, Console.Out).Run());
        return command;
    }
}
