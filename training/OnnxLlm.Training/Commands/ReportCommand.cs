using System.CommandLine;
using OnnxLlm.Training.Report;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Commands;

/// <summary><c>report RUN [--out FILE] [--model FOLDER]</c></summary>
internal static class ReportCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "Folder of the run, finished or not" };
        var target = new Option<string?>("--out") { Description = "The file to write (default: report.html in the run's folder)", HelpName = "file" };
        var model = new Option<string?>("--model") { Description = "The quantized package of the run's model, whose cost the page then shows", HelpName = "folder" };
        var command = new Command("report", "Writes one page with a run's curves, samples, tables and alarms; it opens offline") { run, target, model };
        command.SetAction(parsed => Console.WriteLine(HtmlReport.Write(RunFolder.Open(parsed.GetRequiredValue(run)), parsed.GetValue(target), parsed.GetValue(model))));
        return command;
    }
}
