using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers <c>/v1/classify</c>: for each text its labels with their probabilities, as Hugging Face's task <c>text-classification</c> tells them.</summary>
internal sealed class ClassifyEndpoint(EncoderRoute route, ModelRegistry registry, ServerOptions options)
{
    public Task ClassifyAsync(HttpContext context) => route.HandleAsync(context, Read, Tell);

    private EncoderRequest? Read(RequestBody body)
    {
        var candidates = body.Integer("top_k", 1, int.MaxValue) ?? int.MaxValue;
        return EncoderRequest.Read(body, registry, options.Limits, ModelTask.Classification, candidates, options.Limits.AllLabels, (model, text) => Input(body, model, text));
    }

    private static EncoderInput Input(RequestBody body, ServedModel model, string text)
    {
        if (text.Length == 0) body.Refuse(ApiError.EmptyText());
        return EncoderInput.Classified([.. model.Tokenizer.EncodeClassified(text)]);
    }

    private static JsonObject Tell(EncoderRequest request, int index, ImmutableArray<Candidate[]> found) => new()
    {
        ["object"] = ModelTask.Classification,
        ["index"] = index,
        ["labels"] = new JsonArray([.. found[0].Select(candidate => new JsonObject
        {
            ["label"] = request.Lease.Description.Labels[candidate.Id],
            ["score"] = candidate.Probability,
        })]),
    };
}
