using System.Text.Json;

namespace OnnxLlm.Text.Files;

/// <summary>What <c>tokenizer_config.json</c> says about special tokens and chat; all of it optional, other keys are of no concern here.</summary>
internal sealed record TokenizerConfig
{
    public const string FileName = "tokenizer_config.json";

    public required string Path { get; init; }

    public string? Bos { get; init; }

    public string? Eos { get; init; }

    public string? Pad { get; init; }

    public string? Unk { get; init; }

    public string? Mask { get; init; }

    public string? ChatTemplate { get; init; }

    public AddedToken[] AddedTokens { get; init; } = [];

    /// <summary>The spellings that have a role. Where there are any, a role left out is one that the tokenizer does not have.</summary>
    public IEnumerable<string> Roles => new[] { Bos, Eos, Pad, Unk, Mask }.OfType<string>();

    public static TokenizerConfig Read(string folder)
    {
        string path = System.IO.Path.Combine(folder, FileName);
        string templatePath = System.IO.Path.Combine(folder, "chat_template.jinja");
        string? template = File.Exists(templatePath) ? File.ReadAllText(templatePath) : null;
        if (!File.Exists(path))
            return new TokenizerConfig { Path = path, ChatTemplate = template };
        using var json = JsonFile.Open(path);
        return json.Root.ValueKind == JsonValueKind.Object ? Read(json.Root, path, template)
            : throw new TextException($"{path} is not a JSON object");
    }

    private static TokenizerConfig Read(JsonElement root, string path, string? template) => new()
    {
        Path = path,
        Bos = Spelling(root, "bos_token"),
        Eos = Spelling(root, "eos_token"),
        Pad = Spelling(root, "pad_token"),
        Unk = Spelling(root, "unk_token"),
        Mask = Spelling(root, "mask_token"),
        ChatTemplate = template ?? Template(root),
        AddedTokens = Added(root, path),
    };

    /// <summary>A token is given as its spelling or as an object that holds it.</summary>
    private static string? Spelling(JsonElement root, string key)
    {
        if (!root.TryGetProperty(key, out var token))
            return null;
        if (token.ValueKind == JsonValueKind.Object)
            return token.TryGetProperty("content", out var content) ? content.GetString() : null;
        return token.ValueKind == JsonValueKind.String ? token.GetString() : null;
    }

    /// <summary>One template, or a list of named ones, of which the one named "default" counts.</summary>
    private static string? Template(JsonElement root)
    {
        if (!root.TryGetProperty("chat_template", out var template))
            return null;
        if (template.ValueKind != JsonValueKind.Array)
            return template.ValueKind == JsonValueKind.String ? template.GetString() : null;
        return template.EnumerateArray().Where(t => Spelling(t, "name") == "default").Select(t => Spelling(t, "template")).FirstOrDefault();
    }

    private static AddedToken[] Added(JsonElement root, string path)
    {
        if (!root.TryGetProperty("added_tokens_decoder", out var decoder) || decoder.ValueKind != JsonValueKind.Object)
            return [];
        return [.. decoder.EnumerateObject().Select(entry => int.TryParse(entry.Name, out int id)
            ? TokenizerJson.ReadAdded(entry.Value, id, $"{path}: $.added_tokens_decoder.{entry.Name}")
            : throw new TextException($"{path}: $.added_tokens_decoder.{entry.Name} is not an id"))];
    }
}
