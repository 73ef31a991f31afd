using System.CommandLine;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>bench FOLDER|URL [--clients N] [--out FILE]</c></summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        var target = new Argument<string>("target") { Description = "A model package, or the address of a running server." };
        var defaults = new BenchJob { Target = "" };
        Option<int> prompt = Number("--prompt-tokens", defaults.PromptTokens, 1, "Tokens of a prompt; they are random."), tokens = Number("--tokens", defaults.Tokens, 1, "Tokens of an answer.");
        Option<int> answers = Number("--answers", defaults.Answers, 1, "Answers that are timed."), warmUp = Number("--warm-up", defaults.WarmUp, 0, "Answers of each client before these.");
        Option<int> clients = Number("--clients", defaults.Clients, 1, "Requests at a time; with a package, sequences decoded together.");
        Option<int> threads = Number("--threads", defaults.Threads, 0, "Threads of the runtime; 0 is one per core.");
        var peak = new Option<double?>("--peak-gflops") { Description = "What the machine can do at best, for the MFU (default: measured, where the model runs on this machine)." };
        var counted = new Option<string?>("--package") { Description = "With an address: folder of the server's model, to count its arithmetic." };
        var model = new Option<string?>("--model") { Description = "With an address: name of the model (default: the first that the server lists)." };
        var vocabulary = new Option<int?>("--vocabulary") { Description = "With an address: token ids that the model knows (default: the server says)." };
        var key = new Option<string?>("--key-variable") { Description = "With an address: environment variable that holds the API key." };
        var file = new Option<string?>("--out") { Description = "JSON file for the result." };
        var command = new Command("bench", "Measure tokens per second, time to the first token and between tokens, and the use of the machine's arithmetic.")
            { target, prompt, tokens, answers, clients, warmUp, threads, peak, counted, model, vocabulary, key, file };
        command.SetAction(parsed =>
        {
            var job = new BenchJob
            {
                Target = parsed.GetRequiredValue(target),
                PromptTokens = parsed.GetValue(prompt),
                Tokens = parsed.GetValue(tokens),
                Answers = parsed.GetValue(answers),
                Clients = parsed.GetValue(clients),
                WarmUp = parsed.GetValue(warmUp),
                Threads = parsed.GetValue(threads),
                PeakGflops = parsed.GetValue(peak),
            };
            var bench = new Bench(job, TimeProvider.System)
            {
                Counted = parsed.GetValue(counted),
                Model = parsed.GetValue(model),
                Vocabulary = parsed.GetValue(vocabulary),
                Key = parsed.GetValue(key) is { } name ? Secret(name) : null,
            };
            BenchResult result = bench.Run();
            BenchTable.Write(result, parsed.InvocationConfiguration.Output);
            if (parsed.GetValue(file) is { } path) result.Write(path);
        });
        return command;
    }

    private static Option<int> Number(string name, int otherwise, int least, string description)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => otherwise };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < least) result.AddError($"{name} must be at least {least}");
        });
        return option;
    }

    private static string Secret(string variable) =>
        Environment.GetEnvironmentVariable(variable) ?? throw new ToolException($"--key-variable: the environment has no {variable}.");
}
