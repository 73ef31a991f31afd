using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers <c>/v1/embeddings</c>: the mean hidden state of each text, of length 1. Texts are read by the same engine as prompts.</summary>
internal sealed class EmbeddingsEndpoint(GenerationReader reader, ServerOptions options, Drain drain)
{
    public async Task EmbedAsync(HttpContext context)
    {
        using var place = drain.TryEnter();
        var error = place is null ? ApiError.Draining() : await AnswerAsync(context).ConfigureAwait(false);
        if (error is not null) await error.WriteAsync(context).ConfigureAwait(false);
    }

    /// <returns>Why there is no answer, or null when it has been written.</returns>
    private async Task<ApiError?> AnswerAsync(HttpContext context)
    {
        var form = new Form(false, null);
        var (understood, error) = await reader.ReadAsync(context, null, (body, model, shared) =>
        {
            if (body.Element("input") is null) body.Refuse("input", "'input' is missing.");
            form = Form.Of(body);
            return shared with { Prompts = new PromptField(body, model, options.Limits, "input").Read(), MaxTokens = 0, MaxTokensIsFirm = true };
        }).ConfigureAwait(false);
        using var held = understood;
        if (held is null) return error;
        var engine = held.Model.Engine;
        if (!engine.GivesAll) return ApiError.Unsupported("model", "its package is from before models gave hidden states; export or import it again.");
        if (form.Dimensions > engine.Width) return ApiError.Invalid("dimensions", $"'dimensions' must be from 1 to {engine.Width}.");
        return await ReadAsync(context, held, form).ConfigureAwait(false);
    }

    private static async Task<ApiError?> ReadAsync(HttpContext context, ReadRequest held, Form form)
    {
        EmbeddingSum[] embeddings = [.. held.Request.Prompts.Select(_ => new EmbeddingSum())];
        var refusal = await PromptPass.RunAsync(context, held, embeddings).ConfigureAwait(false);
        if (refusal is not null) return refusal;
        if (embeddings.Any(embedding => !embedding.IsFinite)) throw new ServingException("The model returned hidden states that are not finite.");
        await JsonResponse.WriteAsync(context, Answer(held, embeddings, form)).ConfigureAwait(false);
        return null;
    }

    private static JsonObject Answer(ReadRequest held, EmbeddingSum[] embeddings, Form form) => new()
    {
        ["object"] = "list",
        ["model"] = held.Lease.Description.Id,
        ["data"] = new JsonArray([.. embeddings.Select((embedding, index) => new JsonObject
        {
            ["object"] = "embedding",
            ["index"] = index,
            ["embedding"] = form.Write(embedding),
        })]),
        ["usage"] = new JsonObject { ["prompt_tokens"] = held.Request.PromptTokens, ["total_tokens"] = held.Request.PromptTokens },
    };

    /// <summary>How the client wants the vectors.</summary>
    private sealed record Form(bool IsBase64, int? Dimensions)
    {
        public static Form Of(RequestBody body)
        {
            var encoding = body.Text("encoding_format") ?? "float";
            if (encoding is not ("float" or "base64")) body.Refuse("encoding_format", "'encoding_format' must be 'float' or 'base64'.");
            return new Form(encoding == "base64", body.Integer("dimensions", 1, int.MaxValue));
        }

        /// <summary>Numbers, or base64 of little-endian float32, as the official clients ask for by default.</summary>
        public JsonNode Write(EmbeddingSum embedding)
        {
            var vector = embedding.Unit(Dimensions);
            return IsBase64 ? JsonValue.Create(Convert.ToBase64String(MemoryMarshal.AsBytes<float>(vector))) : new JsonArray([.. vector.Select(value => JsonValue.Create(value))]);
        }
    }
}
