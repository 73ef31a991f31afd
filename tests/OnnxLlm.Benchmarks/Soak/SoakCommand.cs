using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>`soak`.</summary>
internal static class SoakCommand
{
    public static Command Create()
    {
        Option<int> minutes = SuiteOptions.Number("--minutes", 60, 1, "how long");
        Option<int> rate = SuiteOptions.Number("--rate", 4, 1, "requests that begin in a second");
        Option<int> reload = SuiteOptions.Number("--reload-seconds", 60, 1, "time between two reloads of the model");
        Option<int> threads = SuiteOptions.Number("--threads", 1, 1, "threads of the forward pass");
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("soak", "Mixed traffic for a long time: does the server fail, or grow?") { minutes, rate, reload, threads, report, quick };
        command.SetAction(parsed => new SoakSuite(
            new SoakOptions(TimeSpan.FromMinutes(parsed.GetValue(minutes)), parsed.GetValue(rate), TimeSpan.FromSeconds(parsed.GetValue(reload)), parsed.GetValue(threads)),
            parsed.GetValue(quick) ? null : parsed.GetValue(report), TimeProvider.System, Console.Out).Run());
        return command;
    }
}

/// <param name="Rate">Requests that begin in a second, whether or not earlier ones have ended.</param>
/// <param name="Reload">Time between two reloads.</param>
internal sealed record SoakOptions(TimeSpan Duration, int Rate, TimeSpan Reload, int Threads)
{
    /// <summary>How many begin in all.</summary>
    public double Requests => Rate * Duration.TotalSeconds;

    /// <summary>Time between two looks at the server.</summary>
    public static TimeSpan Sampling { get; } = TimeSpan.FromSeconds(5);
}
