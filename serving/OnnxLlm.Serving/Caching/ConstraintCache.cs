using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine.Constraints;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Caching;

/// <summary>Constraints compiled once for all requests that have the same. A model's own: what is allowed is said in its tokens.</summary>
internal sealed class ConstraintCache(Tokenizer tokenizer) : IDisposable
{
    /// <summary>Constraints with the positions that they keep come to some six megabytes, and to twice that with the largest grammar.</summary>
    private const int Most = 64, StatesLikeAnother = 50_000, MostCharacters = 1 << 20;

    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = Most * StatesLikeAnother });
    private readonly Lazy<TokenTrie> _vocabulary = new(() => Vocabulary(tokenizer));

    /// <returns>The constraint, or why there is none.</returns>
    public (Constraint? Constraint, ApiError? Error) Find(ConstraintSpec spec)
    {
        if (_known.TryGetValue(spec, out Constraint? known)) return (known, null);
        try
        {
            if (spec.Text.Length > MostCharacters) throw new ConstraintException($"The constraint has more than {MostCharacters} characters.");
            var constraint = new Constraint(Compile(spec), _vocabulary.Value);
            if (constraint.Start.IsOnlyEnd) throw new ConstraintException("The constraint allows the empty text only.");
            return (_known.Set(spec, constraint, new MemoryCacheEntryOptions { Size = StatesLikeAnother + constraint.States }), null);
        }
        catch (ConstraintException mistake)
        {
            var hasSchema = spec.Kind is ConstraintKind.JsonSchema or ConstraintKind.Calls;
            return (null, ApiError.Invalid(spec.Kind == ConstraintKind.Calls ? "tools" : "response_format", mistake.Message, hasSchema ? "unsupported_schema" : "invalid_value"));
        }
    }

    public void Dispose() => _known.Dispose();

    private static Grammar Compile(ConstraintSpec spec) => spec.Kind switch
    {
        ConstraintKind.JsonObject => JsonSchema.AnyObject(),
        ConstraintKind.JsonSchema => Schema(spec.Text, text =>
        {
            using var schema = JsonDocument.Parse(text);
            return JsonSchema.Compile(schema.RootElement);
        }),
        ConstraintKind.Calls => Schema(spec.Text, CallGrammar.Compile),
        ConstraintKind.Regex => Plain(new RegexParser(spec.Text, set => set.ToUtf8()).ParseWhole()),
        ConstraintKind.Choice => Plain(Pattern.Either([.. JsonSerializer.Deserialize<string[]>(spec.Text)!.Select(Pattern.Text)])),
        _ => throw new ServingException($"There is no constraint {spec.Kind}."),
    };

    private static Grammar Schema(string text, Func<string, Grammar> compile)
    {
        try
        {
            return compile(text);
        }
        catch (Exception mistake) when (mistake is JsonException or InvalidOperationException)
        {
            throw new ConstraintException("The schema is not valid JSON.");
        }
    }

    private static Grammar Plain(Pattern pattern) => new(pattern, new Dictionary<string, Pattern>());

    private static TokenTrie Vocabulary(Tokenizer tokenizer) =>
        new([.. Enumerable.Range(0, tokenizer.VocabularySize).Select(token => tokenizer.IsSpecial(token) ? [] : tokenizer.Bytes(token).ToArray())]);
}
