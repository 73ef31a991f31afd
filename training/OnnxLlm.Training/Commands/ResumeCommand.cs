using System.CommandLine;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Commands;

/// <summary><c>resume RUN</c></summary>
internal static class ResumeCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "Folder of the run" };
        var command = new Command("resume", "Goes on with a run from its latest checkpoint") { run, SharedOptions.Plain, SharedOptions.AllowInexact };
        command.SetAction(parsed => Session.Run(parsed, RunFolder.Open(parsed.GetRequiredValue(run)), (training, stop) => training.Resume(stop)));
        return command;
    }
}
