using System.CommandLine;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>Options that several suites have.</summary>
internal static class SuiteOptions
{
    public static Option<int> Number(string name, int otherwise, int least, string description)
    {
        var option = new Option<int>(name) { DefaultValueFactory = _ => otherwise, Description = description };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < least)
                result.AddError($"{name} must be at least {least}.");
        });
        return option;
    }

    public static Option<int> Rounds() => Number("--rounds", 4, 1, "runs of each side, in turn");

    public static Option<int> Threads() => Number("--threads", 2, 1, "threads of each side");

    public static Option<string> Report() => new("--report") { DefaultValueFactory = _ => BenchmarkDocument.DefaultPath, Description = "file whose section is rewritten" };

    public static Option<bool> NoReport() => new("--no-report") { Description = "write no file" };
}
