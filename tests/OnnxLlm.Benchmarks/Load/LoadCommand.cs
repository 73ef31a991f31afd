using System.CommandLine;
using OnnxLlm.Benchmarks.Decode;

namespace OnnxLlm.Benchmarks.Load;

/// <summary>`load`, and the hidden `load-worker` that it starts.</summary>
internal static class LoadCommand
{
    public static Command Create() => AnswerOptions.Command(
        "load", "Time to load a model and to its first token, float32 and INT8.", "float32 package, which is measured as INT8 as well",
        options => new LoadSuite(options, TimeProvider.System, Console.Out).Run());

    public static Command CreateWorker()
    {
        var model = new Argument<string>("model");
        var threads = new Argument<int>("threads");
        var command = new Command("load-worker") { model, threads };
        command.Hidden = true;
        command.SetAction(parsed => new LoadWorker(parsed.GetValue(model)!, parsed.GetValue(threads), TimeProvider.System).Run());
        return command;
    }
}
