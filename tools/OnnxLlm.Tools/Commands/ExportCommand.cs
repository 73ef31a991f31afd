using System.CommandLine;
using System.Globalization;
using OnnxLlm.Tools.Export;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>export --run FOLDER --out FOLDER [--target package|ort-training …]</c></summary>
internal static class ExportCommand
{
    private static readonly Option<string?> Run = new("--run") { Description = "Folder of the training run." };
    private static readonly Option<string> Checkpoint = new("--checkpoint") { Description = "best, latest, or step-N.", DefaultValueFactory = _ => "best" };
    private static readonly Option<string> Out = new("--out") { Description = "Folder to write to.", Required = true };
    private static readonly Option<string?> Tokenizer = new("--tokenizer") { Description = "Folder of the tokenizer (default: the one in, or beside, the run's data)." };
    private static readonly Option<string> Target = new("--target") { Description = "package: a model package. ort-training: what ORT Training's TrainingSession opens.", DefaultValueFactory = _ => "package" };
    private static readonly Option<string?> Config = new("--config") { Description = "ort-training: a run's config, to begin with fresh weights." };
    private static readonly Option<string?> Package = new("--package") { Description = "ort-training: a model package to begin with; --config says how to train it." };
    private static readonly Option<string[]> Set = new("--set") { Description = "ort-training: changes a value of the config, such as optimizer.decay=all.", HelpName = "key=value", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<bool> Bake = new("--bake-learning-rate") { Description = "ort-training: build the config's learning rate in, for runtimes that cannot set one." };

    public static Command Create()
    {
        var command = new Command("export", "Make a model package of a training run, or training graphs for the ORT Training runtime.")
        {
            Run, Checkpoint, Out, Tokenizer, Target, Config, Package, Set, Bake,
        };
        Target.AcceptOnlyFromAmong("package", "ort-training");
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(Target) == "package" ? ToPackage(parsed) : ToOrtTraining(parsed)));
        return command;
    }

    private static string ToPackage(ParseResult parsed)
    {
        string run = parsed.GetValue(Run) ?? throw new ToolException("A model package is made of a training run: name it with --run.");
        var (manifest, checkpoint, upToDate) = new RunExport(run, parsed.GetValue(Checkpoint)!, parsed.GetRequiredValue(Out), parsed.GetValue(Tokenizer)).Write();
        string loss = checkpoint.ValidationLoss is { } value ? string.Create(CultureInfo.InvariantCulture, $", validation loss {value:0.0000}, {(checkpoint.ValidationAccuracy is { } share ? $"accuracy {100 * share:0.0} %" : $"perplexity {Math.Exp(value):0.00}")}") : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{(upToDate ? "up to date: " : "")}{parsed.GetRequiredValue(Out)}: {manifest.ModelType}, {manifest.ParameterCount:N0} parameters, step {checkpoint.Step}{loss}");
    }

    private static string ToOrtTraining(ParseResult parsed)
    {
        var export = new OrtTrainingExport
        {
            Config = parsed.GetValue(Config),
            Run = parsed.GetValue(Run),
            Checkpoint = parsed.GetValue(Checkpoint)!,
            Package = parsed.GetValue(Package),
            Target = parsed.GetRequiredValue(Out),
            Edits = parsed.GetValue(Set) ?? [],
            BakeLearningRate = parsed.GetValue(Bake),
        };
        var manifest = export.Write();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{export.Target}: {manifest.ModelType}, {manifest.TrainableCount:N0} of {manifest.ParameterCount:N0} parameters trainable, {manifest.MicroBatch} × {manifest.SequenceLength} tokens, for ORT Training 1.19");
    }
}
