using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the fields that all routes share whose answers are sampled.</summary>
/// <param name="usualTemperature">Where the body names none.</param>
internal sealed class SamplingFields(RequestBody body, ServedModel model, RequestLimits limits, Func<long> nextSeed, double usualTemperature = 1)
{
    /// <summary>Everything but the prompts.</summary>
    public GenerationRequest Read()
    {
        if (body.Flag("use_beam_search") == true) body.Refuse(ApiError.Unsupported("use_beam_search", "answers are sampled."));

        var seed = body.Long("seed");
        var sampling = Sampling();
        var isDeterministic = seed is not null || sampling.IsGreedy;
        return new GenerationRequest
        {
            Prompts = [],
            Choices = body.Integer("n", 1, limits.Choices) ?? 1,
            Sampling = sampling with { Seed = (ulong)(seed ?? (isDeterministic ? 0 : nextSeed())) },
            MinTokens = body.Integer("min_tokens", 0, int.MaxValue) ?? 0,
            EndTokens = EndTokens(),
            Stop = Stop(),
            SkipSpecialTokens = body.Flag("skip_special_tokens") ?? true,
            Format = new ConstraintFields(body).Read(),
            Delay = body.Integer("priority", 0, 1000) ?? 0,
            CacheSalt = body.Text("cache_salt"),
            IsDeterministic = isDeterministic,
            Stream = body.Flag("stream") ?? false,
            IncludeUsage = IncludeUsage(),
        };
    }

    private SamplingSettings Sampling() => new()
    {
        Temperature = body.Number("temperature", 0, 2) ?? usualTemperature,
        TopP = body.Number("top_p", 0, 1) ?? 1,
        TopK = Math.Max(0, body.Integer("top_k", -1, int.MaxValue) ?? 0),
        MinP = body.Number("min_p", 0, 1) ?? 0,
        PresencePenalty = body.Number("presence_penalty", -2, 2) ?? 0,
        FrequencyPenalty = body.Number("frequency_penalty", -2, 2) ?? 0,
        RepetitionPenalty = body.Number("repetition_penalty", 0.01, 10) ?? 1,
        LogitBias = LogitBias(),
    };

    private ImmutableArray<string> Stop()
    {
        var stops = body.List("stop", limits.StopSequences).Select(value => body.Text("stop", value)).OfType<string>().ToImmutableArray();
        if (stops.Any(stop => stop.Length == 0)) body.Refuse("stop", "'stop' must not contain an empty string.");
        if (stops.Any(stop => stop.Length > limits.StopLength)) body.Refuse("stop", $"A stop sequence may have at most {limits.StopLength} characters.");
        return stops;
    }

    private ImmutableArray<int> EndTokens()
    {
        var named = body.List("stop_token_ids", limits.StopTokens).Select(value => body.Integer("stop_token_ids", value, 0, model.VocabularySize - 1)).OfType<int>();
        return body.Flag("ignore_eos") == true ? [.. named] : [.. model.EndTokens, .. named];
    }

    private ImmutableArray<TokenBias> LogitBias()
    {
        if (body.Element("logit_bias") is not { } map) return [];
        if (map.ValueKind != JsonValueKind.Object)
        {
            body.Refuse("logit_bias", "'logit_bias' must be an object from token ids to numbers.");
            return [];
        }

        var entries = map.EnumerateObject().Take(limits.BiasEntries + 1).Select(Bias).ToArray();
        if (entries.Length > limits.BiasEntries) body.Refuse("logit_bias", $"'logit_bias' may have at most {limits.BiasEntries} entries.");
        return [.. entries.DistinctBy(entry => entry.Token).OrderBy(entry => entry.Token)];
    }

    private TokenBias Bias(JsonProperty entry)
    {
        var isToken = int.TryParse(RequestBody.Name(entry), NumberStyles.None, CultureInfo.InvariantCulture, out var token) && token < model.VocabularySize;
        if (!isToken) body.Refuse("logit_bias", $"'logit_bias' names a token that is not an id below {model.VocabularySize}.");
        return new TokenBias(isToken ? token : 0, (float)(body.Number("logit_bias", entry.Value, -100, 100) ?? 0));
    }

    private bool IncludeUsage()
    {
        if (body.Element("stream_options") is not { } options) return false;
        if (options.ValueKind == JsonValueKind.Object) return new RequestBody(options).Flag("include_usage") ?? false;
        body.Refuse("stream_options", "'stream_options' must be an object.");
        return false;
    }
}
