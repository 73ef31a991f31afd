using System.Collections.Immutable;
using System.Text.Json;
using OnnxLlm.Training.Commands;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Tracking;

/// <summary>What MLflow is told of a run: where it belongs, what it is called, its parameters; and where its id is kept for a resume.</summary>
internal sealed record MlflowRun(string Experiment, string Name, string IdFile, ImmutableArray<(string Key, string Value)> Parameters)
{
    /// <summary>Servers before 2.8 refuse longer values, and with them the run.</summary>
    internal const int LongestValue = 500;

    public static MlflowRun Of(RunFolder folder, RunRecord record) => new(
        record.Config.Tracking.Experiment,
        folder.Name,
        Path.Combine(folder.Root, "mlflow-run-id"),
        [.. Leaves(record).Select(p => (p.Key, p.Value[..Math.Min(p.Value.Length, LongestValue)]))]);

    private static IEnumerable<(string Key, string Value)> Leaves(RunRecord record) =>
        [.. ShowCommand.Leaves(JsonSerializer.SerializeToNode(record.Config, StrictJson.Options), ""), ("data.shards", record.Data.Shards), ("code.commit", record.Code.Commit ?? "unknown")];
}
