using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Optimizers;

/// <summary>`optimizers`.</summary>
internal static class OptimizersCommand
{
    public static Command Create()
    {
        Option<int> seconds = SuiteOptions.Number("--seconds", 20, 5, "wall clock of each run");
        Option<int> threads = SuiteOptions.Threads();
        var data = new Option<string?>("--data") { Description = "token shards of a vocabulary of 4096 (default: made of the sample corpus)" };
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("optimizers", "The loss that AdamW and Muon reach in the same time, on two model sizes.") { seconds, threads, data, report, quick };
        command.SetAction(parsed => new OptimizersSuite(
            new OptimizersOptions(parsed.GetValue(seconds), parsed.GetValue(threads), parsed.GetValue(data), parsed.GetValue(quick) ? null : parsed.GetValue(report)),
            TimeProvider.System, Console.Out).Run());
        return command;
    }
}
