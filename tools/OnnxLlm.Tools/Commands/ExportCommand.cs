using System.CommandLine;
using System.Globalization;
using OnnxLlm.Tools.Export;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>export --run FOLDER --out FOLDER</c></summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        var run = new Option<string>("--run") { Description = "Folder of the training run.", Required = true };
        var checkpoint = new Option<string>("--checkpoint") { Description = "best, latest, or step-N.", DefaultValueFactory = _ => "best" };
        var target = new Option<string>("--out") { Description = "Folder to write the model package to.", Required = true };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "Folder of the tokenizer (default: the one in, or beside, the run's data)." };
        var command = new Command("export", "Make a model package of a training run.") { run, checkpoint, target, tokenizer };
        command.SetAction(parsed => Run(
            parsed.InvocationConfiguration.Output,
            new RunExport(parsed.GetRequiredValue(run), parsed.GetValue(checkpoint)!, parsed.GetRequiredValue(target), parsed.GetValue(tokenizer))));
        return command;
    }

    private static void Run(TextWriter output, RunExport export)
    {
        var (manifest, checkpoint, upToDate) = export.Write();
        string loss = checkpoint.ValidationLoss is { } value ? string.Create(CultureInfo.InvariantCulture, $", validation loss {value:0.0000}, perplexity {Math.Exp(value):0.00}") : "";
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{(upToDate ? "up to date: " : "")}{export.Target}: {manifest.ModelType}, {manifest.ParameterCount:N0} parameters, step {checkpoint.Step}{loss}"));
    }
}
