using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Arrivals;

/// <summary>`arrivals`.</summary>
internal static class ArrivalsCommand
{
    public static Command Create()
    {
        var model = new Option<string?>("--model") { Description = "package with room for 2500 positions (default: a LLaMA of 124 M parameters with random weights, INT8)" };
        var streams = new Option<int[]>("--streams") { DefaultValueFactory = _ => [1, 4, 16], AllowMultipleArgumentsPerToken = true, Description = "streams that run together" };
        Option<int> rounds = SuiteOptions.Rounds(), threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("arrivals", "Time between the tokens of running streams while a long prompt arrives.") { model, streams, rounds, threads, report, quick };
        command.SetAction(parsed => new ArrivalsSuite(
            parsed.GetValue(model), parsed.GetValue(streams)!, parsed.GetValue(rounds), parsed.GetValue(threads),
            parsed.GetValue(quick) ? null : parsed.GetValue(report), TimeProvider.System, Console.Out).Run());
        return command;
    }
}
