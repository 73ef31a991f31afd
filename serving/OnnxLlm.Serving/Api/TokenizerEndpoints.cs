using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>The tokenizer of a model for those who count or cut texts themselves. Without <c>model</c>, of a body or of a query, it is the first model's.</summary>
internal sealed class TokenizerEndpoints(ModelRegistry registry, JsonBody json, ServerOptions options)
{
    public Task TokenizeAsync(HttpContext context) => AnswerAsync(context, Tokenize);

    public Task DetokenizeAsync(HttpContext context) => AnswerAsync(context, Detokenize);

    public Task InfoAsync(HttpContext context)
    {
        var name = context.Request.Query["model"].FirstOrDefault() ?? registry.Default.Id;
        if (registry.Find(name)?.Current?.Description is not { } model) return ApiError.ModelNotFound(name).WriteAsync(context);
        var special = model.Tokenizer.Special;
        return JsonResponse.WriteAsync(context, new JsonObject
        {
            ["tokenizer_class"] = model.Tokenizer.ClassName,
            ["vocab_size"] = model.VocabularySize,
            ["model_max_length"] = model.Context,
            ["bos_token"] = special.Spelling(special.Bos),
            ["eos_token"] = special.Spelling(special.Eos),
            ["pad_token"] = special.Spelling(special.Pad),
            ["unk_token"] = special.Spelling(special.Unk),
            ["special_tokens"] = new JsonObject(special.Ids.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
            ["chat_template"] = model.Tokenizer.ChatTemplate,
        });
    }

    private async Task AnswerAsync(HttpContext context, Func<RequestBody, ServedModel, JsonObject?> read)
    {
        var (answer, error) = await json.ReadAsync(context, body => Model(body) is { } model ? read(body, model) : null).ConfigureAwait(false);
        await (answer is null ? error!.WriteAsync(context) : JsonResponse.WriteAsync(context, answer)).ConfigureAwait(false);
    }

    private ServedModel? Model(RequestBody body)
    {
        var name = body.Text("model") ?? registry.Default.Id;
        var model = registry.Find(name)?.Current?.Description;
        if (model is null) body.Refuse(ApiError.ModelNotFound(name));
        return body.Error is null ? model : null;
    }

    private JsonObject? Tokenize(RequestBody body, ServedModel model)
    {
        var spelled = body.Flag("return_token_strs") ?? false;
        var tokens = body.Element("messages") is null ? Encode(body, model) : new ChatParser(body, model, options.Limits).Read(new GenerationRequest { Prompts = [[]], Sampling = new() }).Prompts[0];
        if (body.Error is not null) return null;
        return new JsonObject
        {
            ["count"] = tokens.Length,
            ["max_model_len"] = model.Context,
            ["tokens"] = new JsonArray([.. tokens.Select(token => JsonValue.Create(token))]),
            ["token_strs"] = spelled ? new JsonArray([.. tokens.Select(token => JsonValue.Create(model.Tokenizer.Decode([token], skipSpecial: false)))]) : null,
        };
    }

    private static ImmutableArray<int> Encode(RequestBody body, ServedModel model)
    {
        if (body.Element("prompt") is null) body.Refuse("prompt", "'prompt' or 'messages' is needed.");
        var begin = body.Flag("add_special_tokens") ?? true;
        return body.Text("prompt") is { } text ? [.. begin ? model.Tokenizer.EncodePrompt(text) : model.Tokenizer.Encode(text)] : [];
    }

    private static JsonObject? Detokenize(RequestBody body, ServedModel model)
    {
        if (body.Element("tokens") is not { ValueKind: JsonValueKind.Array } list)
        {
            body.Refuse("tokens", "'tokens' must be an array of token ids.");
            return null;
        }

        int[] tokens = [.. list.EnumerateArray().Select(token => body.Integer("tokens", token, 0, model.VocabularySize - 1) ?? 0)];
        return body.Error is null ? new JsonObject { ["prompt"] = model.Tokenizer.Decode(tokens, skipSpecial: false) } : null;
    }
}
