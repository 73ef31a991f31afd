using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Answers <c>infer</c> of the Open Inference Protocol: tokens in, the model's scores out, as it gave them. The prompts go through the same engine as all others, so
/// they are batched, queued and cancelled with them.
/// </summary>
internal sealed class InferEndpoint(GenerationReader reader, ServerOptions options, Drain drain)
{
    public async Task InferAsync(HttpContext context)
    {
        using var place = drain.TryEnter();
        var error = place is null ? ApiError.Draining() : await AnswerAsync(context).ConfigureAwait(false);
        if (error is not null) await error.WriteAsync(context).ConfigureAwait(false);
    }

    /// <returns>Why there is no answer, or null when it has been written.</returns>
    private async Task<ApiError?> AnswerAsync(HttpContext context)
    {
        var (tensors, id) = (default(InferTensors), default(string));
        var (understood, error) = await reader.ReadAsync(context, RouteText.Of(context, "model"), (body, model, shared) =>
        {
            (tensors, id) = (InferTensors.Read(body, model.VocabularySize, model.Context, options.Limits.Sequences), body.Text("id"));
            return shared with { Prompts = tensors?.Rows ?? [[0]], MaxTokens = 0, MaxTokensIsFirm = true };
        }).ConfigureAwait(false);
        using var held = understood;
        if (held is null) return error;
        if (Refusal(held, tensors!) is { } refusal) return refusal;
        var onlyLast = tensors!.Outputs.All(output => output == InferTensors.LastLogits);
        ScoreTable[] scores = [.. tensors.Rows.Select(_ => new ScoreTable(onlyLast))];
        if (await PromptPass.RunAsync(context, held, scores).ConfigureAwait(false) is { } full) return full;
        await WriteAsync(context, held, tensors, id, scores).ConfigureAwait(false);
        return null;
    }

    private ApiError? Refusal(ReadRequest held, InferTensors tensors)
    {
        var model = held.Model;
        if (!model.Engine.GivesAll) return ApiError.Unsupported("model", "its package is from before models gave the scores of all tokens; export or import it again.");
        if (model.Guardrails.Any) return ApiError.Unsupported("outputs", "the server filters its answers, and scores would show what is filtered.");
        var values = tensors.Outputs.Sum(output => ScoresLayout.Of(output, tensors, model.Engine.ModelVocabulary).Count);
        return values <= options.Limits.InferValues ? null
            : ApiError.Invalid("inputs", $"The outputs would have {values} values; at most {options.Limits.InferValues} are possible. Send fewer tokens, or ask for '{InferTensors.LastLogits}'.");
    }

    /// <summary>Row by row, so that the text of a large tensor is never in memory as a whole.</summary>
    private static async Task WriteAsync(HttpContext context, ReadRequest held, InferTensors tensors, string? id, ScoreTable[] scores)
    {
        foreach (var chunk in scores.SelectMany(table => table.Chunks))
            if (chunk.Any(score => !float.IsFinite(score))) throw new ServingException("The model returned scores that are not finite.");
        context.Response.ContentType = "application/json; charset=utf-8";
        using var writer = JsonResponse.Writer(context);
        writer.WriteStartObject();
        writer.WriteString("model_name", held.Lease.Description.Id);
        writer.WriteString("model_version", "1");
        if (id is not null) writer.WriteString("id", id);
        writer.WriteStartArray("outputs");
        foreach (var output in tensors.Outputs)
        {
            var layout = ScoresLayout.Of(output, tensors, held.Model.Engine.ModelVocabulary);
            layout.Open(writer);
            for (var row = 0; row < tensors.Rows.Length; row++)
            {
                layout.Write(writer, tensors, row, scores[row]);
                writer.Flush();
                await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
            }

            ScoresLayout.Close(writer);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
