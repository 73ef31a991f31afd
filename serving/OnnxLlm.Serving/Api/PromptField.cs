using System.Collections.Immutable;
using System.Text.Json;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the texts of a body that may come as a string, as token ids, or as a list of either.</summary>
internal sealed class PromptField(RequestBody body, ServedModel model, RequestLimits limits, string name)
{
    /// <summary>One list of token ids per text; a missing or empty text is the start of a document.</summary>
    public ImmutableArray<ImmutableArray<int>> Read()
    {
        if (body.Element(name) is not { } prompt) return [Beginning()];
        if (prompt.ValueKind == JsonValueKind.String) return [Tokens(prompt)];
        if (prompt.ValueKind != JsonValueKind.Array || prompt.GetArrayLength() == 0) return Refuse();
        if (prompt[0].ValueKind == JsonValueKind.Number) return [Ids(prompt)];
        if (prompt.GetArrayLength() > limits.Sequences)
        {
            body.Refuse(name, $"'{name}' may have at most {limits.Sequences} texts.");
            return [];
        }

        return [.. prompt.EnumerateArray().Select(Tokens)];
    }

    private ImmutableArray<int> Tokens(JsonElement prompt)
    {
        if (prompt.ValueKind == JsonValueKind.Array) return Ids(prompt);
        if (prompt.ValueKind != JsonValueKind.String) Refuse();
        var text = prompt.ValueKind == JsonValueKind.String ? body.Text(name, prompt) : null;
        return string.IsNullOrEmpty(text) ? Beginning() : model.Encode(text);
    }

    private ImmutableArray<int> Ids(JsonElement ids)
    {
        if (ids.GetArrayLength() == 0) return Beginning();
        if (ids.GetArrayLength() <= model.Context)
            return [.. ids.EnumerateArray().Select(id => body.Integer(name, id, 0, model.VocabularySize - 1) ?? 0)];
        body.Refuse(ApiError.ContextLength($"The text has {ids.GetArrayLength()} tokens; the context holds {model.Context}."));
        return [];
    }

    private ImmutableArray<int> Beginning()
    {
        if (model.BeginToken is { } begin) return [begin];
        body.Refuse(name, $"'{name}' is empty, and this model has no token that begins a document.");
        return [];
    }

    private ImmutableArray<ImmutableArray<int>> Refuse()
    {
        body.Refuse(name, $"'{name}' must be a string, an array of strings, an array of token ids, or an array of arrays of token ids.");
        return [];
    }
}
