using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;

namespace OnnxLlm.Text.Filtering;

/// <summary>
/// What is to be kept out of texts, as a file says that a server and a corpus may share:
/// <c>{"window":64,"personal_data":"mask","categories":[{"name":"violence","words":["…"],"patterns":["…"],"side":"answer"}]}</c>.
/// </summary>
public sealed record ContentRules
{
    private const int UsualWindow = 64, LargestWindow = 4096;

    private static readonly JsonSerializerOptions Options = new(JsonSerializerOptions.Strict) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private sealed record Contents
    {
        public int Window { get; init; } = UsualWindow;

        public string PersonalData { get; init; } = "allow";

        public ImmutableArray<Category> Categories { get; init; } = [];
    }

    private sealed record Category
    {
        public required string Name { get; init; }

        public ImmutableArray<string> Words { get; init; } = [];

        public ImmutableArray<string> Patterns { get; init; } = [];

        public string? Side { get; init; }
    }

    /// <summary>Characters of a stream that are held back until what follows shows that nothing begins in them.</summary>
    public required int Window { get; init; }

    public required PersonalDataRule PersonalData { get; init; }

    public required ImmutableArray<ContentCategory> Categories { get; init; }

    /// <summary>SHA-256 of the file: changes whenever what is found may change.</summary>
    public required string Fingerprint { get; init; }

    /// <exception cref="TextException">The file is missing or malformed.</exception>
    public static ContentRules Read(string path)
    {
        try
        {
            byte[] file = File.ReadAllBytes(path);
            return Create(JsonSerializer.Deserialize<Contents>(file, Options) ?? throw new JsonException("it is empty."), Convert.ToHexStringLower(SHA256.HashData(file)));
        }
        catch (Exception mistake) when (mistake is JsonException or IOException or UnauthorizedAccessException or TextException)
        {
            throw new TextException($"The content filter {path} cannot be used: {mistake.Message}", mistake);
        }
    }

    private static ContentRules Create(Contents contents, string fingerprint)
    {
        int longest = contents.Categories.SelectMany(category => category.Words).Select(word => word.Length).DefaultIfEmpty(0).Max();
        if (contents.Window is < 1 or > LargestWindow || contents.Window <= longest) throw new TextException($"'window' must be from {longest + 1}, more than the longest word, to {LargestWindow}.");
        if (contents.Categories.Any(category => category.Words.Any(string.IsNullOrEmpty))) throw new TextException("a word is empty.");
        return new()
        {
            Window = contents.Window,
            PersonalData = Rule(contents.PersonalData),
            Categories = [.. contents.Categories.Select(Create)],
            Fingerprint = fingerprint,
        };
    }

    private static ContentCategory Create(Category category)
    {
        if (category.Side is not (null or "both" or "prompt" or "answer")) throw new TextException($"'side' of the category '{category.Name}' must be prompt, answer or both.");
        return new(category.Name, category.Words, category.Patterns) { InPrompts = category.Side != "answer", InAnswers = category.Side != "prompt" };
    }

    private static PersonalDataRule Rule(string text) => text switch
    {
        "allow" => PersonalDataRule.Allow,
        "mask" => PersonalDataRule.Mask,
        "block" => PersonalDataRule.Block,
        _ => throw new TextException("'personal_data' must be allow, mask or block."),
    };
}

/// <summary>What becomes of what identifies people.</summary>
public enum PersonalDataRule
{
    /// <summary>It stays.</summary>
    Allow,

    /// <summary>Its kind stands in its place.</summary>
    Mask,

    /// <summary>The text is not used.</summary>
    Block,
}
