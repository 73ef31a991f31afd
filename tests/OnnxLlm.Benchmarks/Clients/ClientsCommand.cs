using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>`clients`, and the hidden `clients-worker` that it starts for the load.</summary>
internal static class ClientsCommand
{
    public static Command Create()
    {
        var models = new Option<string?>("--models") { Description = "folder that keeps the model files (default: a temporary one)" };
        var counts = new Option<int[]>("--clients") { DefaultValueFactory = _ => [1, 4, 16, 32], AllowMultipleArgumentsPerToken = true, Description = "clients at a time" };
        Option<int> prompt = SuiteOptions.Number("--prompt", 256, 1, "tokens of a prompt"), tokens = SuiteOptions.Number("--tokens", 128, ClientsOptions.WarmUpTokens, "tokens of an answer");
        Option<int> starts = SuiteOptions.Number("--starts", 7, 1, "times that server and loop start anew, for one turn of the most clients, or more of fewer"), threads = SuiteOptions.Threads();
        Option<int> peers = SuiteOptions.Number("--peer-starts", 2, 0, "first starts in which llama.cpp and ONNX Runtime GenAI take a turn as well, which npm ci --prefix tests/peers installs");
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("clients", "Many clients' streams over HTTP against step loops at the same batch: ours, llama.cpp's and ONNX Runtime GenAI's.") { models, counts, prompt, tokens, starts, peers, threads, report, quick };
        command.SetAction(parsed => new ClientsSuite(
            new ClientsOptions(
                parsed.GetValue(models), parsed.GetValue(counts)!, parsed.GetValue(prompt), parsed.GetValue(tokens), parsed.GetValue(starts), parsed.GetValue(peers), parsed.GetValue(threads),
                parsed.GetValue(quick) ? null : parsed.GetValue(report)),
            TimeProvider.System, Console.Out).Run());
        return command;
    }

    public static Command CreateWorker()
    {
        Argument<Uri> server = new("server") { CustomParser = result => new Uri(result.Tokens.Single().Value) };
        var model = new Argument<string>("model");
        Argument<int> vocabulary = new("vocabulary"), prompt = new("prompt"), tokens = new("tokens"), clients = new("clients"), seed = new("seed");
        var command = new Command("clients-worker") { server, model, vocabulary, prompt, tokens, clients, seed };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            var job = new ClientsJob(
                parsed.GetValue(server)!, parsed.GetValue(model)!, parsed.GetValue(vocabulary), parsed.GetValue(prompt), parsed.GetValue(tokens), parsed.GetValue(clients), parsed.GetValue(seed));
            using var worker = new ClientsWorker(job, TimeProvider.System);
            return worker.Run();
        });
        return command;
    }
}
