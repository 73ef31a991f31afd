using System.Collections.Immutable;
using System.Text.Json;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>What <c>/v1/fill-mask</c> is asked for, and the model that it is asked of, held until this is disposed.</summary>
/// <param name="Inputs">Texts with the places of their masks.</param>
/// <param name="Candidates">Tokens told for each mask.</param>
internal sealed record FillMaskRequest(ModelLease Lease, ImmutableArray<EncoderInput> Inputs, int Candidates) : IDisposable
{
    private const int UsualCandidates = 5;

    public EncoderModel Model => (EncoderModel)Lease.Model;

    public int Tokens => Inputs.Sum(input => input.Tokens.Length);

    /// <summary>Null where the body has a mistake, which it then knows.</summary>
    public static FillMaskRequest? Read(RequestBody body, ModelRegistry registry, RequestLimits limits)
    {
        if (ModelField.Lease(body, registry, body.Text("model"), model => model is EncoderModel ? null : ApiError.NeedsEncoder(model)) is not { } lease) return null;
        var candidates = body.Integer("top_k", 1, limits.Candidates) ?? UsualCandidates;
        var request = new FillMaskRequest(lease, [.. Texts(body, limits).Select(text => Input(body, lease.Description, text))], candidates);
        if (body.Error is null && request.Inputs.Sum(input => input.Places.Length) * (long)candidates > limits.AllCandidates)
            body.Refuse("top_k", $"All masks together may have at most {limits.AllCandidates} tokens told; send fewer masks, or ask for fewer tokens.");
        if (body.Error is null) return request;
        request.Dispose();
        return null;
    }

    public void Dispose() => Lease.Dispose();

    private static List<string> Texts(RequestBody body, RequestLimits limits)
    {
        var elements = body.List("input", limits.Sequences);
        if (elements.Count == 0 || elements.Any(element => element.ValueKind != JsonValueKind.String)) body.Refuse("input", "'input' must be a string or an array of strings, one at least.");
        return body.Error is null ? [.. elements.Select(element => body.Text("input", element) ?? "")] : [];
    }

    private static EncoderInput Input(RequestBody body, ServedModel model, string text)
    {
        var (mask, special) = (model.Tokenizer.Special.Mask!.Value, model.Tokenizer.Special);
        ImmutableArray<int> tokens = [.. model.Tokenizer.EncodeMasked(text)];
        ImmutableArray<int> places = [.. tokens.Index().Where(token => token.Item == mask).Select(token => token.Index)];
        if (places.IsEmpty) body.Refuse(ApiError.NoMask(special.Spelling(mask)!));
        else if (tokens.Length > model.Context) body.Refuse(ApiError.ContextLength($"A text of 'input' has {tokens.Length} tokens; the model reads at most {model.Context}."));
        return new EncoderInput(tokens, places);
    }
}
