using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using System.Threading.Channels;
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
        var engine = held.Lease.Model.Engine;
        if (!engine.GivesAll) return ApiError.Unsupported("model", "its package is from before models gave hidden states; export or import it again.");
        if (form.Dimensions > engine.Width) return ApiError.Invalid("dimensions", $"'dimensions' must be from 1 to {engine.Width}.");
        return await ReadAsync(context, held, form).ConfigureAwait(false);
    }

    private static async Task<ApiError?> ReadAsync(HttpContext context, ReadRequest held, Form form)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var (events, caller) = (Channel.CreateUnbounded<SequenceEvent>(), Caller.Of(context));
        Sequence[] sequences = [.. held.Request.Prompts.Select((prompt, i) => Of(prompt, i, caller, events.Writer, cancel.Token))];
        var admission = held.Lease.Model.Engine.Submit(sequences);
        if (admission != Admission.Accepted) return admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead();
        try
        {
            foreach (var _ in sequences)
                if (await events.Reader.ReadAsync(context.RequestAborted).ConfigureAwait(false) is SequenceFailed failed)
                    throw new ServingException("The engine failed while it read the text.", failed.Fault);
        }
        finally
        {
            await cancel.CancelAsync().ConfigureAwait(false);
        }

        caller.Quota?.Charge(held.Request.PromptTokens);
        RequestRecord.Of(context).Usage = new Usage(held.Request.PromptTokens, 0, 0);
        await JsonResponse.WriteAsync(context, Answer(held, sequences, form)).ConfigureAwait(false);
        return null;
    }

    private static Sequence Of(ImmutableArray<int> text, int index, Caller caller, ChannelWriter<SequenceEvent> output, CancellationToken cancelled) => new()
    {
        Prompt = text,
        Choice = index,
        MaxTokens = 0,
        Embedding = new EmbeddingSum(),
        Key = caller.Name,
        Priority = caller.Priority,
        Output = output,
        Cancelled = cancelled,
    };

    private static JsonObject Answer(ReadRequest held, Sequence[] sequences, Form form) => new()
    {
        ["object"] = "list",
        ["model"] = held.Lease.Description.Id,
        ["data"] = new JsonArray([.. sequences.Select(sequence => new JsonObject
        {
            ["object"] = "embedding",
            ["index"] = sequence.Choice,
            ["embedding"] = form.Write(sequence.Embedding!),
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
