using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Training.Configuration;

/// <summary>Loads a run's JSON file, applies <c>--set key=value</c> edits to it, and reports every mistake at once.</summary>
internal static class ConfigFile
{
    private static readonly string[] Budgets = ["steps", "epochs", "minutes"];

    private static readonly JsonDocumentOptions Syntax = new() { AllowDuplicateProperties = false, CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <exception cref="TrainingException">The file cannot be read or describes no valid run.</exception>
    public static RunConfig Load(string path, IEnumerable<string> overrides) => Parse(Read(path), overrides, path);

    public static RunConfig Parse(string text, IEnumerable<string> overrides, string name)
    {
        var json = Tree(text, name);
        var problems = overrides.Select(o => Override(json, o)).OfType<string>().ToList();
        if (!json.ContainsKey("model") && json["initial_weights"] is JsonValue from && from.TryGetValue(out string? folder)) json["model"] = StartingWeights.Config(folder).ToJson();
        problems.AddRange(StrictJson.Mistakes<RunConfig>(json));
        if (problems.Count > 0) throw Report(name, problems);

        var config = json.Deserialize<RunConfig>(StrictJson.Options)!;
        problems.AddRange(ConfigRules.Broken(config));
        return problems.Count == 0 ? config : throw Report(name, problems);
    }

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TrainingException($"Config '{path}' cannot be read: {e.Message}", e);
        }
    }

    private static JsonObject Tree(string text, string name)
    {
        try
        {
            return JsonNode.Parse(text, documentOptions: Syntax) as JsonObject ?? throw new TrainingException($"Config '{name}' is not a JSON object.");
        }
        catch (JsonException e)
        {
            throw new TrainingException($"Config '{name}' is not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>Applies one edit; a budget replaces the others. Returns what is wrong with it, or null.</summary>
    private static string? Override(JsonObject root, string assignment)
    {
        if (Budgets.Contains(assignment.Split('=')[0])) foreach (var budget in Budgets) root.Remove(budget);
        return JsonEdits.Apply(root, assignment);
    }

    private static TrainingException Report(string name, List<string> problems) => new(problems.Count == 1
        ? $"Config '{name}': {problems[0]}"
        : $"Config '{name}' has {problems.Count} mistakes:{string.Concat(problems.Select(p => $"\n  {p}"))}");
}
