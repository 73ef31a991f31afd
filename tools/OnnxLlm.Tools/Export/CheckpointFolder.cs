using System.Security.Cryptography;
using System.Text.Json;

namespace OnnxLlm.Tools.Export;

/// <summary>One checkpoint of a run: weights, sealed with <c>SHA256SUMS</c>, and what <c>state.json</c> says of them.</summary>
internal sealed record CheckpointFolder(string Folder, long Step, double? ValidationLoss)
{
    /// <summary>Share of right labels; only of a classifier.</summary>
    public double? ValidationAccuracy { get; init; }

    private const string WeightsFile = "model.safetensors", SealFile = "SHA256SUMS", StateFile = "state.json";

    public string Weights => Path.Combine(Folder, WeightsFile);

    /// <summary>Every checkpoint, oldest first.</summary>
    public static CheckpointFolder[] All(string folder) => Directory.Exists(folder)
        ? [.. Directory.GetDirectories(folder, "step-*").Select(Read).OrderBy(c => c.Step)]
        : [];

    /// <summary>SHA-256 of the weights, after a check that they are what the runner wrote.</summary>
    public string VerifiedHash()
    {
        string seal = Path.Combine(Folder, SealFile);
        if (!File.Exists(seal) || !File.Exists(Weights)) throw new ToolException($"Checkpoint '{Folder}' is incomplete: it needs {WeightsFile} and {SealFile}.");
        using var stream = File.OpenRead(Weights);
        string hash = Convert.ToHexStringLower(SHA256.HashData(stream));
        return File.ReadLines(seal).Contains($"{hash}  {WeightsFile}")
            ? hash
            : throw new ToolException($"{Weights} is truncated or damaged: its SHA-256 is not the one in {SealFile}. Choose another with --checkpoint.");
    }

    private static double? Number(JsonElement state, string name) => state.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    private static CheckpointFolder Read(string folder)
    {
        string path = Path.Combine(folder, StateFile);
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            return new(folder, json.RootElement.GetProperty("step").GetInt64(), Number(json.RootElement, "validation_loss")) { ValidationAccuracy = Number(json.RootElement, "validation_accuracy") };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FileNotFoundException)
        {
            throw new ToolException($"{path} is damaged: {e.Message}");
        }
    }
}
