using System.CommandLine;
using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>`serve`.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var model = new Option<string?>("--model") { Description = "model package (default: quickstart's shape with random weights, INT8)" };
        Option<int> tokens = DecodeCommand.Tokens(), answers = DecodeCommand.Answers(), rounds = SuiteOptions.Rounds(), threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("serve", "Answers streamed by the server against the bare decode loop.") { model, tokens, answers, rounds, threads, report, quick };
        command.SetAction(parsed => new ServeSuite(
            new ServeOptions(
                parsed.GetValue(model), parsed.GetValue(tokens), parsed.GetValue(answers), parsed.GetValue(rounds), parsed.GetValue(threads),
                parsed.GetValue(quick) ? null : parsed.GetValue(report)),
            TimeProvider.System, Console.Out).Run());
        return command;
    }
}
