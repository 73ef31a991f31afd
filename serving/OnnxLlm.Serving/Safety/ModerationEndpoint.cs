using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Api;

namespace OnnxLlm.Serving.Safety;

/// <summary>Says what the server's own filter thinks of texts, in the form of the OpenAI API. A category is found or not, so its score is 1 or 0.</summary>
internal sealed class ModerationEndpoint(Guardrails guardrails, JsonBody json, Entropy entropy, ServerOptions options)
{
    public async Task AnswerAsync(HttpContext context)
    {
        var (answer, error) = await json.ReadAsync(context, Moderate).ConfigureAwait(false);
        await (answer is null ? error!.WriteAsync(context) : JsonResponse.WriteAsync(context, answer)).ConfigureAwait(false);
    }

    private JsonObject? Moderate(RequestBody body)
    {
        if (!guardrails.Any) body.Refuse(ApiError.Invalid(null, "This server has no content filter; start it with --content-filter.", "content_filter_missing"));
        if (body.Element("input") is null) body.Refuse("input", "'input' is missing.");
        var texts = body.List("input", options.Limits.Sequences).Select((input, i) => Text(body, $"input[{i}]", input)).ToArray();
        if (body.Error is not null) return null;
        return new JsonObject
        {
            ["id"] = $"modr-{entropy.NextId()}",
            ["model"] = "onnxllm-content-filter",
            ["results"] = new JsonArray([.. texts.Select(Result)]),
        };
    }

    /// <summary>A string, or a part as chats have them.</summary>
    private static string Text(RequestBody body, string path, JsonElement input)
    {
        if (input.ValueKind != JsonValueKind.Object) return body.Text(path, input) ?? "";
        var part = new RequestBody(input);
        if (part.Text("type") == "text" && part.Element("text") is { } text) return body.Text($"{path}.text", text) ?? "";
        body.Refuse(ApiError.Invalid(path, $"'{path}' must be text; the filter reads nothing else.", "unsupported_content"));
        return "";
    }

    private JsonObject Result(string text)
    {
        var found = Enum.GetValues<TextSide>().SelectMany(side => guardrails.Inspect(text, side)).Select(finding => finding.Category).ToHashSet();
        return new JsonObject
        {
            ["flagged"] = found.Count > 0,
            ["categories"] = ForEach(category => found.Contains(category)),
            ["category_scores"] = ForEach(category => found.Contains(category) ? 1 : 0),
            ["category_applied_input_types"] = ForEach(_ => new JsonArray("text")),
        };
    }

    private JsonObject ForEach(Func<string, JsonNode> value) => new(guardrails.Categories.Select(category => KeyValuePair.Create(category, (JsonNode?)value(category))));
}
