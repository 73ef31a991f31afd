using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>`kernels`.</summary>
internal static class KernelsCommand
{
    public static Command Create()
    {
        Option<int> rounds = SuiteOptions.Number("--rounds", 5, 1, "runs of kernel and body, in turn"), threads = SuiteOptions.Threads();
        var only = new Option<string?>("--only") { Description = "one function; no file is written then", HelpName = "function" };
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("kernels", "Every kernel against its function body and against what the machine allows.") { rounds, threads, only, report, quick };
        command.SetAction(parsed => new KernelsSuite(
            parsed.GetValue(rounds), parsed.GetValue(threads), parsed.GetValue(only), parsed.GetValue(quick) ? null : parsed.GetValue(report), TimeProvider.System, Console.Out).Run());
        return command;
    }
}
