using System.CommandLine;
using OnnxLlm.Tools.Inspect;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>inspect ops | model FOLDER</c></summary>
internal static class InspectCommand
{
    public static Command Create() => new("inspect", "Look into what OnnxLlm is made of.") { Model(), Ops() };

    private static Command Ops()
    {
        var command = new Command("ops", "Measure every gradient rule and every fused operator, and print the errors; exit code 1 if one is too large.");
        command.SetAction(parsed => OpsReport.Write(parsed.InvocationConfiguration.Output) ? 0 : 1);
        return command;
    }

    private static Command Model()
    {
        var folder = new Argument<string>("folder") { Description = "A model package." };
        var command = new Command("model", "Check a model package and show what it holds.") { folder };
        command.SetAction(parsed => PackageReport.Write(parsed.GetRequiredValue(folder), parsed.InvocationConfiguration.Output));
        return command;
    }
}
