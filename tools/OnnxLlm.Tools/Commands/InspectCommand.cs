using System.CommandLine;
using OnnxLlm.Tools.Inspect;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>inspect ops</c></summary>
internal static class InspectCommand
{
    public static Command Create() => new("inspect", "Look into what OnnxLlm is made of.") { Ops() };

    private static Command Ops()
    {
        var command = new Command("ops", "Measure every gradient rule and every fused operator, and print the errors; exit code 1 if one is too large.");
        command.SetAction(parsed => OpsReport.Write(parsed.InvocationConfiguration.Output) ? 0 : 1);
        return command;
    }
}
