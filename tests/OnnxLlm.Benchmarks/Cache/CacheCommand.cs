using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Cache;

/// <summary><c>cache</c></summary>
internal static class CacheCommand
{
    public static Command Create()
    {
        var model = new Option<string?>("--model") { Description = "float32 package, measured with INT8 weights (default: a LLaMA of 124 M random parameters)" };
        var past = SuiteOptions.Number("--past", 1000, 1, "tokens that a sequence has read before it is timed");
        var steps = SuiteOptions.Number("--steps", 24, 1, "tokens decoded in each round");
        var rounds = SuiteOptions.Rounds();
        var threads = SuiteOptions.Threads();
        var report = SuiteOptions.Report();
        var none = SuiteOptions.NoReport();
        var command = new Command("cache", "The bare decode loop behind long texts, with a cache of floats and of bytes.") { model, past, steps, rounds, threads, report, none };
        command.SetAction(parsed => new CacheSuite(
            new(parsed.GetValue(model), parsed.GetValue(past), parsed.GetValue(steps), parsed.GetValue(rounds), parsed.GetValue(threads), parsed.GetValue(none) ? null : parsed.GetValue(report)),
            TimeProvider.System, Console.Out).Run());
        return command;
    }
}

/// <param name="Model">Folder of the float package; null for random weights.</param>
/// <param name="Past">Tokens before those that are timed.</param>
/// <param name="Steps">Tokens of a round.</param>
/// <param name="Rounds">Of each side, in turn.</param>
/// <param name="Threads">Of each side.</param>
/// <param name="Report">Document whose section is rewritten; null for none.</param>
internal sealed record CacheJob(string? Model, int Past, int Steps, int Rounds, int Threads, string? Report);
