using System.CommandLine;
using System.Globalization;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Evaluation.Choices;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>evaluate --model FOLDER --data SHARDS | --task FILE</c></summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "Folder of the model package.", Required = true };
        var data = new Option<string?>("--data") { Description = "Folder of token shards; their validation split is scored." };
        var task = new Option<string?>("--task") { Description = """Questions, a line each: {"context": "…", "choices": ["…", "…"], "answer": 0}; the likeliest choice is the model's answer.""" };
        var tokens = new Option<int>("--tokens") { Description = "Tokens to score, from the start of the split.", DefaultValueFactory = _ => 32768 };
        var context = new Option<int?>("--context") { Description = "Tokens in a window (default: the model's longest sequence)." };
        var stride = new Option<int?>("--stride") { Description = "Distance of windows (default: that of windows that do not overlap)." };
        var threads = new Option<int>("--threads") { Description = "Threads of the runtime; 0 is one per core." };
        var command = new Command("evaluate", "Measure a model's perplexity on held-out text, or how many questions it answers right.") { model, data, task, tokens, context, stride, threads };
        command.Validators.Add(result =>
        {
            if (result.GetResult(data) is null == result.GetResult(task) is null) result.AddError("either --data or --task says what to evaluate on");
        });
        command.SetAction(parsed =>
        {
            var (output, folder) = (parsed.InvocationConfiguration.Output, parsed.GetRequiredValue(model));
            if (parsed.GetValue(task) is { } file)
            {
                Show(output, folder, file, ChoiceScore.Run(folder, file, parsed.GetValue(threads)));
                return;
            }
            var job = new EvaluationJob(folder, parsed.GetValue(data)!, parsed.GetValue(tokens), parsed.GetValue(context), parsed.GetValue(stride), parsed.GetValue(threads));
            Show(output, job, PackageEvaluation.Run(job));
        });
        return command;
    }

    private static void Show(TextWriter output, EvaluationJob job, PackageEvaluation result)
    {
        var score = result.Model;
        Line(output, $"{job.Model} on {score.Tokens:N0} held-out tokens of {job.Data}, windows of {result.Context}, {result.Stride} apart");
        Line(output, $"  perplexity   {score.Perplexity:0.000} ± {score.PerplexityError:0.000}");
        Line(output, $"  per token    {score.NegativeLogLikelihood:0.0000} ± {score.StandardError:0.0000} nats");
        Line(output, $"  per byte     {score.BitsPerByte:0.0000} bits");
        Line(output, $"  unigram      {result.Unigram.Perplexity:0.0}, {result.Unigram.Perplexity / score.Perplexity:0.0} times as high");
    }

    private static void Show(TextWriter output, string model, string task, ChoiceScore score)
    {
        Line(output, $"{model} on {score.Questions:N0} questions of {task}");
        Line(output, $"  likeliest choice     {score.Likeliest.Share:0.0000} ± {score.Likeliest.StandardError:0.0000} right");
        Line(output, $"  likeliest by byte    {score.LikeliestByByte.Share:0.0000} ± {score.LikeliestByByte.StandardError:0.0000} right");
        Line(output, $"  guessing             {score.Chance:0.0000}");
        if (score.Shortened > 0) Line(output, $"  {score.Shortened} choices lost the beginning of their context, which the model has no room for");
    }

    private static void Line(TextWriter output, FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
}
