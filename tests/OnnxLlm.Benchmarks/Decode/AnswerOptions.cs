using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>What the suites that let a model answer are asked for.</summary>
/// <param name="Model">Folder of the package; null: one with random weights.</param>
/// <param name="Tokens">Tokens of an answer.</param>
/// <param name="Answers">Answers of a run that are timed.</param>
/// <param name="Rounds">Runs of each side, in turn.</param>
/// <param name="Threads">Threads of the forward pass.</param>
/// <param name="Report">The document whose section is rewritten, or null.</param>
internal sealed record AnswerOptions(string? Model, int Tokens, int Answers, int Rounds, int Threads, string? Report)
{
    /// <summary>A command with these options.</summary>
    /// <param name="package">What --model may be.</param>
    public static Command Command(string name, string description, string package, Func<AnswerOptions, int> run)
    {
        var model = new Option<string?>("--model") { Description = $"{package} (default: quickstart's shape with random weights)" };
        Option<int> tokens = SuiteOptions.Number("--tokens", 128, 2, "tokens of an answer");
        Option<int> answers = SuiteOptions.Number("--answers", 60, 1, "answers of a run that are timed");
        Option<int> rounds = SuiteOptions.Rounds(), threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command(name, description) { model, tokens, answers, rounds, threads, report, quick };
        command.SetAction(parsed => run(new AnswerOptions(
            parsed.GetValue(model), parsed.GetValue(tokens), parsed.GetValue(answers), parsed.GetValue(rounds), parsed.GetValue(threads),
            parsed.GetValue(quick) ? null : parsed.GetValue(report))));
        return command;
    }

    /// <summary>The bare loop's part.</summary>
    public DecodeJob Job(string model) => new DecodeJob(model, Threads, Tokens, Answers).Checked();
}
