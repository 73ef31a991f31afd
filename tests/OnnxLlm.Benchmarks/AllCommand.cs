using System.CommandLine;
using System.Diagnostics;

namespace OnnxLlm.Benchmarks;

/// <summary>`all`: every suite with its defaults, one after the other, each as a process of its own; the document is then new from end to end.</summary>
internal static class AllCommand
{
    private static readonly string[][] Suites =
    [
        ["train", "--size", "S"], ["train", "--size", "M"], ["train", "--size", "L", "--steps", "6", "--rounds", "5"], ["train", "--size", "X", "--steps", "6", "--rounds", "5"],
        ["kernels"], ["scaling"], ["data"], ["memory"], ["precision"], ["parity"], ["optimizers"], ["load"], ["decode"], ["cache"], ["peers"],
        ["serve"], ["clients"], ["speculation"], ["arrivals"], ["soak"],
    ];

    public static Command Create()
    {
        var report = new Option<string?>("--report") { Description = "file whose sections are rewritten" };
        var command = new Command("all", "Every suite with its defaults: rewrites all of docs/benchmarks.md. Takes some hours, one of them the soak.") { report };
        command.SetAction(parsed =>
        {
            string[] more = parsed.GetValue(report) is { } path ? ["--report", path] : [];
            return Suites.Select(suite => Run([.. suite, .. more])).ToArray().Max();
        });
        return command;
    }

    private static int Run(IReadOnlyList<string> arguments)
    {
        Console.WriteLine($"== {string.Join(' ', arguments)}");
        string program = Environment.ProcessPath!;
        bool host = Path.GetFileNameWithoutExtension(program) == "dotnet";
        using Process process = Process.Start(new ProcessStartInfo(program, host ? [typeof(AllCommand).Assembly.Location, .. arguments] : arguments))!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
