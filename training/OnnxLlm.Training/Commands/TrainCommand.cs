using System.CommandLine;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Commands;

/// <summary><c>train CONFIG [--set key=value …] [--run FOLDER] [--minutes N]</c></summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var config = new Argument<string>("config") { Description = "JSON file that describes the run, such as training/configs/quickstart.json" };
        var set = new Option<string[]>("--set") { Description = "Changes a value of the config: steps=50, optimizer.learning_rate=3e-4", HelpName = "key=value", AllowMultipleArgumentsPerToken = true };
        var run = new Option<string?>("--run") { Description = "Folder of the run (default: runs/ and the name of the config)", HelpName = "folder" };
        var minutes = new Option<double?>("--minutes") { Description = "Budget of wall clock, instead of the config's" };
        var engine = new Option<string?>("--engine") { Description = "What runs the graphs: onnx (stock ONNX Runtime) or ort-training, instead of the config's" };
        var device = new Option<string?>("--device") { Description = "What computes: cpu, cuda or cuda:N, instead of the config's" };
        var plan = new Option<bool>("--plan") { Description = "Only predict the memory that the run would need" };
        var command = new Command("train", "Trains a model as a config says") { config, set, run, minutes, engine, device, plan, SharedOptions.Plain };
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(config);
            var overrides = parsed.GetValue(set) ?? [];
            if (parsed.GetValue(minutes) is { } budget) overrides = [.. overrides, FormattableString.Invariant($"minutes={budget}")];
            if (parsed.GetValue(engine) is { } kind) overrides = [.. overrides, $"engine={kind}"];
            if (parsed.GetValue(device) is { } place) overrides = [.. overrides, $"device={place}"];
            var loaded = ConfigFile.Load(path, overrides);
            if (parsed.GetValue(plan)) return MemoryTable.Print(loaded, Console.Out);
            var folder = RunFolder.Create(parsed.GetValue(run) ?? Path.Combine("runs", Path.GetFileNameWithoutExtension(path)));
            return Session.Run(parsed, folder, (training, stop) => training.Start(loaded, stop));
        });
        return command;
    }
}
