using System.CommandLine;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>`decode`, and the hidden `decode-worker` that it starts for either side.</summary>
internal static class DecodeCommand
{
    public static Command Create() => AnswerOptions.Command(
        "decode", "The bare decode loop, float32 against INT8.", "float32 package, which is measured as INT8 as well",
        options => new DecodeSuite(options, TimeProvider.System, Console.Out).Run());

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
}
