using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>`decode`, and the hidden `decode-worker` that it starts for either side.</summary>
internal static class DecodeCommand
{
    public static Command Create()
    {
        var model = new Option<string?>("--model") { Description = "float32 package, which is also measured as INT8 (default: quickstart's shape with random weights)" };
        Option<int> tokens = Tokens(), answers = Answers(), rounds = SuiteOptions.Rounds(), threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("decode", "The bare decode loop, float32 against INT8.") { model, tokens, answers, rounds, threads, report, quick };
        command.SetAction(parsed => new DecodeSuite(
            new DecodeOptions(
                parsed.GetValue(model), parsed.GetValue(tokens), parsed.GetValue(answers), parsed.GetValue(rounds), parsed.GetValue(threads),
                parsed.GetValue(quick) ? null : parsed.GetValue(report)),
            TimeProvider.System, Console.Out).Run());
        return command;
    }

    public static Command CreateWorker()
    {
        var model = new Argument<string>("model");
        Argument<int> threads = new("threads"), tokens = new("tokens"), answers = new("answers");
        var batches = new Argument<int[]>("batches");
        var command = new Command("decode-worker") { model, threads, tokens, answers, batches };
        command.Hidden = true;
        command.SetAction(parsed => new DecodeWorker(
            new DecodeJob(parsed.GetValue(model)!, parsed.GetValue(threads), parsed.GetValue(tokens), parsed.GetValue(answers)),
            TimeProvider.System).Run(parsed.GetValue(batches)!));
        return command;
    }

    public static Option<int> Tokens() => SuiteOptions.Number("--tokens", 128, 2, "tokens of an answer");

    public static Option<int> Answers() => SuiteOptions.Number("--answers", 20, 1, "answers of a run that are timed");
}
