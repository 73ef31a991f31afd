using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers <c>/v1/fill-mask</c>: for each mask of each text, the likeliest tokens, as Hugging Face's task of that name tells them.</summary>
internal sealed class FillMaskEndpoint(EncoderRoute route, ModelRegistry registry, ServerOptions options)
{
    private const int UsualCandidates = 5;

    public Task FillAsync(HttpContext context) => route.HandleAsync(context, Read, Tell);

    private EncoderRequest? Read(RequestBody body)
    {
        var (limits, candidates) = (options.Limits, body.Integer("top_k", 1, options.Limits.Candidates) ?? UsualCandidates);
        return EncoderRequest.Read(body, registry, limits, ModelTask.FillMask, candidates, limits.AllCandidates, (model, text) => Input(body, model, text));
    }

    private static EncoderInput Input(RequestBody body, ServedModel model, string text)
    {
        var (mask, special) = (model.Tokenizer.Special.Mask!.Value, model.Tokenizer.Special);
        ImmutableArray<int> tokens = [.. model.Tokenizer.EncodeMasked(text)];
        ImmutableArray<int> places = [.. tokens.Index().Where(token => token.Item == mask).Select(token => token.Index)];
        if (places.IsEmpty) body.Refuse(ApiError.NoMask(special.Spelling(mask)!));
        return new EncoderInput(tokens, places);
    }

    private static JsonObject Tell(EncoderRequest request, int index, ImmutableArray<Candidate[]> found)
    {
        var input = request.Inputs[index];
        return new()
        {
            ["object"] = ModelTask.FillMask,
            ["index"] = index,
            ["masks"] = new JsonArray([.. input.Places.Select((place, i) => Mask(request.Lease.Description.Tokenizer, input, place, found[i]))]),
        };
    }

    private static JsonArray Mask(Tokenizer tokenizer, EncoderInput input, int place, Candidate[] candidates) => new([.. candidates.Select(candidate => new JsonObject
    {
        ["score"] = candidate.Probability,
        ["token"] = candidate.Id,
        ["token_str"] = tokenizer.Decode([candidate.Id], skipSpecial: false),
        ["sequence"] = tokenizer.Decode(input.Tokens.SetItem(place, candidate.Id).AsSpan(), skipSpecial: false),
    })]);
}
