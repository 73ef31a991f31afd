using System.CommandLine;
using System.Globalization;
using OnnxLlm.Graphs;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>quantize --model FOLDER --out FOLDER [--data SHARDS]</c></summary>
internal static class QuantizeCommand
{
    private static readonly Dictionary<string, ElementType> CacheTypes = new() { ["float32"] = ElementType.Float, ["bfloat16"] = ElementType.BFloat16, ["int8"] = ElementType.Int8 };

    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "Folder of the float model package.", Required = true };
        var target = new Option<string>("--out") { Description = "Folder to write the INT8 package to.", Required = true };
        var data = new Option<string?>("--data") { Description = "Folder of token shards; their validation split decides (default: text that the model writes itself)." };
        var loss = new Option<double>("--max-perplexity-loss") { Description = "Largest growth of the perplexity that is accepted; 0.01 is 1 %.", DefaultValueFactory = _ => 0.01 };
        var block = new Option<int>("--block") { Description = "Weights that share one scale.", DefaultValueFactory = _ => 32 };
        var exclude = new Option<string[]>("--exclude") { Description = "Names of weights that stay as they are; * stands for any characters.", AllowMultipleArgumentsPerToken = true };
        var cache = new Option<string>("--kv-cache") { Description = "How keys and values are kept while answering: float32, bfloat16, which takes half of the memory, or int8, which takes a quarter.", DefaultValueFactory = _ => "bfloat16" };
        cache.AcceptOnlyFromAmong([.. CacheTypes.Keys]);
        var tokens = new Option<int>("--tokens") { Description = "Validation tokens that both models are scored on.", DefaultValueFactory = _ => 32768 };
        var threads = new Option<int>("--threads") { Description = "Threads of the runtime; 0 is one per core." };
        var force = new Option<bool>("--force") { Description = "Quantize even if the package is up to date." };
        var command = new Command("quantize", "Turn a model package into INT8, if that costs little enough.") { model, target, data, loss, block, exclude, cache, tokens, threads, force };
        command.SetAction(parsed => Run(parsed.InvocationConfiguration.Output, parsed.GetValue(force), new()
        {
            Source = parsed.GetRequiredValue(model),
            Target = parsed.GetRequiredValue(target),
            Data = parsed.GetValue(data),
            MaxPerplexityLoss = parsed.GetValue(loss),
            Settings = new() { Block = parsed.GetValue(block), Exclude = [.. parsed.GetValue(exclude) ?? []], Cache = CacheTypes[parsed.GetRequiredValue(cache)] },
            Tokens = parsed.GetValue(tokens),
            Threads = parsed.GetValue(threads),
        }));
        return command;
    }

    private static void Run(TextWriter output, bool force, QuantizationJob job)
    {
        var gate = new QuantizationGate(job, TimeProvider.System);
        var known = force ? null : gate.UpToDate();
        Show(output, known is null ? job.Target : $"up to date: {job.Target}", known ?? gate.Run());
    }

    private static void Show(TextWriter output, string title, QuantizationReport report)
    {
        var q = report.Quality;
        Line($"{title}: INT8, {report.QuantizedWeights.Length} weights in blocks of {report.Block}, {report.KeptWeights.Length} left as they were");
        Line($"  file         {report.FloatBytes / 1e6,9:0.00} -> {report.QuantizedBytes / 1e6,9:0.00} MB ({report.SizeRatio:P1})");
        Line($"  perplexity   {q.FloatPerplexity,9:0.000} -> {q.QuantizedPerplexity,9:0.000} ({q.PerplexityLoss:+0.000 %;-0.000 %} ± {q.PerplexityLossError:0.000 %}, {q.MaxPerplexityLoss:0.## %} allowed; unigram {q.UnigramPerplexity:0.0})");
        if (report.KvCache is { } c) Line($"  cache        {c.FloatBytesPerToken,9:N0} -> {c.BytesPerToken,9:N0} bytes a token; of the perplexity {c.PerplexityLoss:+0.000 %;-0.000 %} ± {c.PerplexityLossError:0.000 %} comes from it");
        if (q.IsOwnText) Line($"  text         written by the float model itself; held-out text, named with --data, says more");
        Line($"  agreement    {q.Top1Agreement:P2} of the likeliest tokens, mean KL {q.MeanDivergence:0.000000} nats, {q.Tokens:N0} tokens");
        foreach (var speed in report.Speed)
        {
            Line($"  prefill      {speed.FloatPrefill,9:N0} -> {speed.QuantizedPrefill,9:N0} tokens/s ({speed.Provider}, {speed.Threads} threads, 1 sequence)");
            Line($"  decode       {speed.FloatDecode,9:N0} -> {speed.QuantizedDecode,9:N0} tokens/s");
        }

        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }
}
