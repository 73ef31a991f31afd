using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Data;

/// <summary>`data`.</summary>
internal static class DataCommand
{
    public static Command Create()
    {
        Option<int> steps = SuiteOptions.Number("--steps", 30, 10, "steps of the run"), threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("data", "How fast token shards are read, and how long training waits for data.") { steps, threads, report, quick };
        command.SetAction(parsed => new DataSuite(
            parsed.GetValue(steps), parsed.GetValue(threads), parsed.GetValue(quick) ? null : parsed.GetValue(report), TimeProvider.System, Console.Out).Run());
        return command;
    }
}
