using System.CommandLine;
using OnnxLlm.Tools.Import;
using OnnxLlm.Tools.Quickstart;
using Spectre.Console;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>quickstart [--model stories15m] [--minutes N] [--no-serve] [--port N] [--out FOLDER]</c></summary>
internal static class QuickstartCommand
{
    public static Command Create()
    {
        var minutes = new Option<double>("--minutes") { Description = "Training budget of a new run in minutes; a finished run is not trained again", DefaultValueFactory = _ => 3 };
        var model = new Option<string?>("--model") { Description = $"{SampleModel.Name}: a model that others trained, instead of one trained here" };
        model.AcceptOnlyFromAmong(SampleModel.Name);
        var noServe = new Option<bool>("--no-serve") { Description = "End after the first answer instead of staying up" };
        var port = new Option<int>("--port") { Description = "Port of the server", DefaultValueFactory = _ => 8080 };
        var output = new Option<string?>("--out") { Description = "Folder for data, runs and models (default: the repository)" };
        var command = new Command("quickstart", "From a text corpus to an INT8 answer over HTTP, each step as a command that you could type") { model, minutes, noServe, port, output };
        // Not an asynchronous action: those are cut off two seconds after Ctrl-C, and children may need longer to end in good order.
        command.SetAction(parsed =>
        {
            string root = RepositoryRoot.Find(Directory.GetCurrentDirectory());
            string place = parsed.GetValue(output) is { } folder ? RepositoryRoot.Relative(root, Path.GetFullPath(folder)) : ".";
            QuickstartPlan plan = parsed.GetValue(model) is null
                ? new TrainingPlan(root, parsed.GetValue(minutes), parsed.GetValue(port), place)
                : new StoryPlan(root, parsed.GetValue(port), place);
            var screen = new QuickstartScreen(AnsiConsole.Console, parsed.InvocationConfiguration.Output, !Console.IsOutputRedirected);
            return new QuickstartRun(plan, screen, TimeProvider.System).Run(stayUp: !parsed.GetValue(noServe)).GetAwaiter().GetResult();
        });
        return command;
    }
}
