using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>What the suite is asked for.</summary>
/// <param name="Prompt">Tokens of each prompt.</param>
/// <param name="Tokens">Tokens of each answer.</param>
/// <param name="Rounds">Turns of each runtime.</param>
/// <param name="Threads">Threads of each.</param>
/// <param name="Report">The document whose section is rewritten, or null.</param>
internal sealed record PeersOptions(int Prompt, int Tokens, int Rounds, int Threads, string? Report)
{
    /// <summary>A folder for the model files, so that another run finds them; null: a new one that ends with the suite.</summary>
    public string? Models { get; init; }
}

/// <summary>`peers`, and the hidden `peers-worker` that it starts for each runtime.</summary>
internal static class PeersCommand
{
    public static Command Create()
    {
        Option<int> prompt = SuiteOptions.Number("--prompt", 256, 1, "tokens of a prompt"), tokens = SuiteOptions.Number("--tokens", 64, 2, "tokens of an answer");
        Option<int> rounds = SuiteOptions.Number("--rounds", 5, 1, "turns of each runtime"), threads = SuiteOptions.Threads();
        var models = new Option<string?>("--models") { Description = "folder that keeps the model files (default: a temporary one)" };
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("peers", "INT8 decoding beside ONNX Runtime GenAI and llama.cpp; needs npm ci --prefix tests/peers.") { prompt, tokens, rounds, threads, models, report, quick };
        command.SetAction(parsed => new PeersSuite(
            new PeersOptions(
                parsed.GetValue(prompt), parsed.GetValue(tokens), parsed.GetValue(rounds), parsed.GetValue(threads),
                parsed.GetValue(quick) ? null : parsed.GetValue(report))
            {
                Models = parsed.GetValue(models),
            },
            TimeProvider.System, Console.Out).Run());
        return command;
    }

    public static Command CreateWorker()
    {
        Argument<string> runtime = new("runtime"), model = new("model");
        Argument<int> prompt = new("prompt"), tokens = new("tokens"), threads = new("threads");
        var batches = new Argument<int[]>("batches");
        var command = new Command("peers-worker") { runtime, model, prompt, tokens, threads, batches };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            using var worker = new PeersWorker(
                parsed.GetValue(runtime)!, parsed.GetValue(model)!, parsed.GetValue(prompt), parsed.GetValue(tokens), parsed.GetValue(threads), TimeProvider.System);
            return worker.Run(parsed.GetValue(batches)!);
        });
        return command;
    }
}
