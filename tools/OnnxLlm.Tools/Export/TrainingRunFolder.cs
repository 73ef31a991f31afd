using System.Text.Json;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Tools.Export;

/// <summary>What export needs of a run folder, which the training runner wrote: <c>run.json</c> and <c>checkpoints/step-N/</c>.</summary>
/// <param name="Folder">The folder of the run.</param>
/// <param name="Model">The architecture that was trained.</param>
/// <param name="Data">Folder of the token shards, as the run's config names it.</param>
/// <param name="TokenizerHash">Of the tokenizer that made the shards; empty where they do not say.</param>
internal sealed record TrainingRunFolder(string Folder, ModelConfig Model, string Data, string TokenizerHash)
{
    public const string RecordFile = "run.json";

    public static TrainingRunFolder Open(string folder)
    {
        string path = Path.Combine(folder, RecordFile);
        if (!File.Exists(path)) throw new ToolException($"'{folder}' is not a training run: it has no {RecordFile}.");
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            var config = json.RootElement.GetProperty("config");
            return new(
                folder, ModelConfig.Parse(config.GetProperty("model"), strict: false), config.GetProperty("data").GetString()!,
                json.RootElement.GetProperty("data").GetProperty("tokenizer").GetString() ?? "");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or GraphException)
        {
            throw new ToolException($"{path} is not what the training runner writes: {e.Message}");
        }
    }

    /// <param name="which"><c>best</c> (lowest validation loss, the latest where none was validated), <c>latest</c>, or <c>step-N</c>.</param>
    public CheckpointFolder Checkpoint(string which)
    {
        var all = CheckpointFolder.All(Path.Combine(Folder, "checkpoints"));
        if (all.Length == 0) throw new ToolException($"'{Folder}' has no checkpoint yet.");
        return which switch
        {
            "latest" => all[^1],
            "best" => all.Where(c => c.ValidationLoss is not null).MinBy(c => c.ValidationLoss) ?? all[^1],
            _ => all.FirstOrDefault(c => which == $"step-{c.Step}" || which == Path.GetFileName(c.Folder)) ?? throw new ToolException(
                $"'{Folder}' has no checkpoint '{which}'; it has {string.Join(", ", all.Select(c => $"step-{c.Step}"))}; or say best or latest."),
        };
    }
}
