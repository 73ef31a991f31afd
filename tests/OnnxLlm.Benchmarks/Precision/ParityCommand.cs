using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Precision;

/// <summary>`parity`.</summary>
internal static class ParityCommand
{
    public static Command Create()
    {
        Option<int> steps = SuiteOptions.Number("--steps", 300, 2 * PrecisionResult.Window, "steps of each run");
        Option<int> threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("parity", "Loss curves with our kernels and with their functions' bodies.") { steps, threads, report, quick };
        command.SetAction(parsed => new ParitySuite(
            parsed.GetValue(steps), parsed.GetValue(threads), parsed.GetValue(quick) ? null : parsed.GetValue(report), TimeProvider.System, Console.Out).Run());
        return command;
    }
}
