using System.Text.Json;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the body of Triton's <c>generate</c>: a text, and parameters either inside <c>parameters</c> or beside it.</summary>
internal sealed class GenerateParser(RequestBody body, ServedModel model)
{
    private const int DefaultMaxTokens = 20;

    public GenerationRequest Read(GenerationRequest shared)
    {
        var text = body.Text("text_input");
        if (text is null) body.Refuse("text_input", "'text_input' is missing.");
        if (shared.Choices > 1) body.Refuse("n", "'n' must be 1: the answer has one text.");
        var maxTokens = body.Integer("max_tokens", 1, int.MaxValue);
        return shared with
        {
            Prompts = [string.IsNullOrEmpty(text) ? [model.BeginToken ?? 0] : model.Encode(text)],
            MaxTokens = maxTokens ?? DefaultMaxTokens,
            MaxTokensIsFirm = maxTokens is not null,
            Alternatives = (body.Flag("details") ?? false) ? 0 : null,
        };
    }

    /// <summary>Lets the parameters be found as if they stood beside the text.</summary>
    public static void Lift(RequestBody body)
    {
        if (body.Element("parameters") is not { ValueKind: JsonValueKind.Object } parameters) return;
        body.Add(parameters.EnumerateObject().Where(field => RequestBody.Name(field) is not null).DistinctBy(field => field.Name)
            .ToDictionary(field => field.Name, field => field.Value, StringComparer.Ordinal));
    }
}
