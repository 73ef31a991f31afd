using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Tools.Export;

/// <summary>What training graphs need of a run's config; its other keys belong to the training runner.</summary>
internal sealed record TrainingRecipe(TrainingSetup Setup, long Seed, float LearningRate)
{
    private static readonly JsonDocumentOptions Syntax = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private static readonly JsonSerializerOptions Options = new(JsonSerializerOptions.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(allowIntegerValues: false) },
    };

    /// <summary>The config in a file: of a run (<c>run.json</c> keeps it under <c>config</c>), or as the runner is given it.</summary>
    public static JsonObject Read(string path)
    {
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(path), documentOptions: Syntax) as JsonObject ?? throw new ToolException($"{path} is not a JSON object.");
            return json["config"] as JsonObject ?? json;
        }
        catch (JsonException e)
        {
            throw new ToolException($"{path} is not valid JSON: {e.Message}");
        }
    }

    /// <param name="name">Of the config, for messages.</param>
    /// <param name="model">The architecture; null takes it from the config.</param>
    public static TrainingRecipe Parse(JsonObject json, string name, ModelConfig? model)
    {
        try
        {
            model ??= ModelConfig.Parse((json["model"] ?? throw new ToolException($"{name} has no section 'model'.")).Deserialize<JsonElement>(), strict: true);
            var optimizer = json["optimizer"]?.DeepClone().AsObject() ?? [];
            float learningRate = optimizer["learning_rate"]?.GetValue<float>() ?? 1e-3f;
            var shape = new TrainingShape(json["micro_batch"]?.GetValue<int>() ?? 1, json["sequence_length"]?.GetValue<int>() ?? model.MaxPositions);
            string[] frozen = json["frozen"]?.Deserialize<string[]>() ?? [];
            return new(
                new TrainingSetup { Model = model, Shape = shape, Optimizer = Optimizer(optimizer, name), Frozen = frozen },
                json["seed"]?.GetValue<long>() ?? 1234, learningRate);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new ToolException($"{name}: {e.Message}");
        }
    }

    /// <summary>The section's keys are the settings' names, but for two.</summary>
    private static OptimizerSettings Optimizer(JsonObject section, string name)
    {
        string[] known = ["type", "learning_rate", .. typeof(OptimizerSettings).GetProperties().Where(p => p.CanWrite && p.Name != nameof(OptimizerSettings.Kind)).Select(p => JsonNamingPolicy.SnakeCaseLower.ConvertName(p.Name))];
        if (section.Select(p => p.Key).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
            throw new ToolException($"{name}: optimizer.{unknown}: unknown key.{NearestName.Hint(unknown, known)}");

        section.Remove("learning_rate");
        if (section["type"] is { } type)
        {
            section.Remove("type");
            section["kind"] = type.DeepClone();
        }
        return section.Deserialize<OptimizerSettings>(Options)!;
    }
}
