using System.CommandLine;
using OnnxLlm.Tools.Inspect;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>doctor</c></summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var command = new Command("doctor", "Show what this machine and this build offer: versions, processor, memory, GPUs, and what is missing to use them.");
        command.SetAction(parsed => MachineReport.Write(parsed.InvocationConfiguration.Output));
        return command;
    }
}
