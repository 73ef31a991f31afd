using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Commands;

/// <summary><c>show RUN</c>: one "name value" line per fact, in a fixed order, so that two runs can be compared with diff.</summary>
internal static class ShowCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "Folder of the run" };
        var command = new Command("show", "Prints where a run came from and how far it got") { run };
        command.SetAction(parsed =>
        {
            foreach (var (name, value) in Facts(RunFolder.Open(parsed.GetRequiredValue(run)))) Console.WriteLine($"{name,-40} {value}");
        });
        return command;
    }

    internal static IEnumerable<(string Name, string Value)> Facts(RunFolder folder) =>
        Leaves(JsonSerializer.SerializeToNode(folder.Read(), StrictJson.Options), "").Concat(Progress(folder)).Concat(Checkpoints(folder));

    /// <summary>The values in a tree of sections, each under its path with dots.</summary>
    internal static IEnumerable<(string, string)> Leaves(JsonNode? node, string path) => node switch
    {
        JsonObject section => section.SelectMany(p => Leaves(p.Value, path == "" ? p.Key : $"{path}.{p.Key}")),
        JsonArray list => [(path, string.Join(", ", list.Select(item => item?.ToString())))],
        _ => [(path, node?.ToString() ?? "–")],
    };

    /// <summary>The last step and the last validation in the log.</summary>
    private static IEnumerable<(string, string)> Progress(RunFolder folder)
    {
        if (!File.Exists(folder.Metrics)) return [];
        var lines = MetricsLog.Lines(folder.Metrics).ToList();
        var last = new[] { lines.LastOrDefault(l => l.TryGetProperty("learning_rate", out _)), lines.LastOrDefault(l => l.TryGetProperty("validation_loss", out _)) };
        return last.Where(l => l.ValueKind == JsonValueKind.Object).SelectMany(l => l.EnumerateObject()).DistinctBy(p => p.Name).Select(p => ($"last.{p.Name}", p.Value.ToString()));
    }

    private static IEnumerable<(string, string)> Checkpoints(RunFolder folder)
    {
        var store = new CheckpointStore(folder.Checkpoints, 1);
        yield return ("checkpoint.latest", store.Latest(_ => { })?.Path ?? "–");
        yield return ("checkpoint.best", store.Best()?.Path ?? "–");
    }
}
