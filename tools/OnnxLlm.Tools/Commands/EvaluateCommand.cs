using System.CommandLine;
using System.Globalization;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>evaluate --model FOLDER --data SHARDS</c></summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "Folder of the model package.", Required = true };
        var data = new Option<string>("--data") { Description = "Folder of token shards; their validation split is scored.", Required = true };
        var tokens = new Option<int>("--tokens") { Description = "Tokens to score, from the start of the split.", DefaultValueFactory = _ => 32768 };
        var context = new Option<int?>("--context") { Description = "Tokens in a window (default: the model's longest sequence)." };
        var stride = new Option<int?>("--stride") { Description = "Distance of windows (default: that of windows that do not overlap)." };
        var threads = new Option<int>("--threads") { Description = "Threads of the runtime; 0 is one per core." };
        var command = new Command("evaluate", "Measure a model's perplexity on held-out text.") { model, data, tokens, context, stride, threads };
        command.SetAction(parsed =>
        {
            var job = new EvaluationJob(
                parsed.GetRequiredValue(model), parsed.GetRequiredValue(data), parsed.GetValue(tokens), parsed.GetValue(context), parsed.GetValue(stride), parsed.GetValue(threads));
            Show(parsed.InvocationConfiguration.Output, job, PackageEvaluation.Run(job));
        });
        return command;
    }

    private static void Show(TextWriter output, EvaluationJob job, PackageEvaluation result)
    {
        var score = result.Model;
        Line($"{job.Model} on {score.Tokens:N0} held-out tokens of {job.Data}, windows of {result.Context}, {result.Stride} apart");
        Line($"  perplexity   {score.Perplexity:0.000} ± {score.PerplexityError:0.000}");
        Line($"  per token    {score.NegativeLogLikelihood:0.0000} ± {score.StandardError:0.0000} nats");
        Line($"  per byte     {score.BitsPerByte:0.0000} bits");
        Line($"  unigram      {result.Unigram.Perplexity:0.0}, {result.Unigram.Perplexity / score.Perplexity:0.0} times as high");

        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }
}
