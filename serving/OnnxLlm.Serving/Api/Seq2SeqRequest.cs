using System.Collections.Immutable;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>What <c>/v1/seq2seq</c> is asked for, and the model that it is asked of, held until this is disposed.</summary>
/// <param name="Generation">With the texts as prompts, each with the token that ends it.</param>
internal sealed record Seq2SeqRequest(ModelLease Lease, GenerationRequest Generation) : IDisposable
{
    public EncoderDecoderModel Model => (EncoderDecoderModel)Lease.Model;

    /// <summary>Null where the body has a mistake, which it then knows.</summary>
    public static Seq2SeqRequest? Read(RequestBody body, ModelRegistry registry, RequestLimits limits, Func<long> nextSeed)
    {
        if (ModelField.Lease(body, registry, body.Text("model"), ModelTask.Seq2Seq) is not { } lease) return null;
        var request = new Seq2SeqRequest(lease, Generate(body, lease.Description, limits, nextSeed));
        if (body.Error is null) return request;
        request.Dispose();
        return null;
    }

    public void Dispose() => Lease.Dispose();

    private static GenerationRequest Generate(RequestBody body, ServedModel model, RequestLimits limits, Func<long> nextSeed)
    {
        var shared = new SamplingFields(body, model, limits, nextSeed, usualTemperature: 0).Read();
        if (shared.Stream) body.Refuse(ApiError.Unsupported("stream", "texts come whole."));
        if (shared.Choices != 1) body.Refuse(ApiError.Unsupported("n", "there is one text for each; send the text several times."));
        if (shared.Format is not null) body.Refuse(ApiError.Unsupported("response_format", "what an encoder-decoder writes is not constrained."));
        var longest = body.Integer("max_tokens", 1, int.MaxValue) ?? model.Context;
        if (longest > model.Context) body.Refuse(ApiError.ContextLength($"'max_tokens' is {longest}; the model writes at most {model.Context} tokens."));
        if (shared.MinTokens > longest) body.Refuse("min_tokens", "'min_tokens' is more than the answer may have.");
        return shared with { Prompts = [.. TextsField.Read(body, limits).Select(text => Input(body, model, text))], MaxTokens = longest, IsReadApart = true };
    }

    /// <summary>As the model was trained: with the token that ends a text, where there is one.</summary>
    private static ImmutableArray<int> Input(RequestBody body, ServedModel model, string text)
    {
        ImmutableArray<int> tokens = [.. model.Tokenizer.Encode(text), .. model.EosToken is { } end ? [end] : ReadOnlySpan<int>.Empty];
        if (text.Length == 0) body.Refuse(ApiError.EmptyText());
        else if (tokens.Length > model.Context) body.Refuse(ApiError.ContextLength($"A text of 'input' has {tokens.Length} tokens with its end; the model reads at most {model.Context}."));
        return tokens;
    }
}
