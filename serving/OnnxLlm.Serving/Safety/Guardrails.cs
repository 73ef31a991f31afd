using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;

namespace OnnxLlm.Serving.Safety;

/// <summary>
/// The guardrails that the operator has put up, as a file says:
/// <c>{"window":64,"personal_data":"mask","categories":[{"name":"violence","words":["…"],"patterns":["…"],"side":"answer"}]}</c>.
/// </summary>
internal sealed class Guardrails(IReadOnlyList<IGuardrail> guardrails, int window, string fingerprint = "")
{
    private const int UsualWindow = 64;

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

    /// <summary>No guardrails: texts go through as they are.</summary>
    public static Guardrails None { get; } = new([], 0);

    /// <summary>Changes whenever what is found may change.</summary>
    public string Fingerprint => fingerprint;

    public bool Any => guardrails.Count > 0;

    public IReadOnlyList<string> Categories { get; } = [.. guardrails.SelectMany(guardrail => guardrail.Categories).Distinct()];

    /// <exception cref="ServingException">The file is missing or malformed.</exception>
    public static Guardrails Read(string path)
    {
        try
        {
            var file = File.ReadAllBytes(path);
            return Create(JsonSerializer.Deserialize<Contents>(file, Options) ?? throw new JsonException("it is empty."), Convert.ToHexStringLower(SHA256.HashData(file)));
        }
        catch (Exception mistake) when (mistake is JsonException or IOException or UnauthorizedAccessException or ServingException)
        {
            throw new ServingException($"The content filter {path} cannot be used: {mistake.Message}", mistake);
        }
    }

    /// <exception cref="ServingException">A guardrail failed, so nothing is known of the text.</exception>
    public IReadOnlyList<Finding> Inspect(string text, TextSide side)
    {
        try
        {
            return [.. guardrails.SelectMany(guardrail => guardrail.Inspect(text, side))];
        }
        catch (Exception fault) when (fault is not ServingException)
        {
            throw new ServingException("A guardrail failed.", fault);
        }
    }

    /// <summary>The category for which a prompt is not answered, or null.</summary>
    public string? Refuse(string prompt) => Inspect(prompt, TextSide.Prompt).FirstOrDefault(finding => finding.Blocks)?.Category;

    /// <summary>For one answer; null where nothing looks at it.</summary>
    public GuardedText? Begin() => Any ? new GuardedText(this, window) : null;

    private static Guardrails Create(Contents contents, string fingerprint)
    {
        var longest = contents.Categories.SelectMany(category => category.Words).Select(word => word.Length).DefaultIfEmpty(0).Max();
        if (contents.Window is < 1 or > 4096 || contents.Window <= longest) throw new ServingException($"'window' must be from {longest + 1}, more than the longest word, to 4096.");
        if (contents.Categories.Any(category => category.Words.Any(string.IsNullOrEmpty))) throw new ServingException("a word is empty.");
        List<IGuardrail> guardrails = [.. contents.Categories.Select(category => new WordFilter(category.Name, category.Words, category.Patterns, Side(category)))];
        if (contents.PersonalData is not ("allow" or "mask" or "block")) throw new ServingException("'personal_data' must be allow, mask or block.");
        if (contents.PersonalData != "allow") guardrails.Add(new PersonalDataFilter(contents.PersonalData == "block"));
        return new Guardrails(guardrails, contents.Window, fingerprint);
    }

    private static TextSide? Side(Category category) => category.Side switch
    {
        null or "both" => null,
        "prompt" => TextSide.Prompt,
        "answer" => TextSide.Answer,
        _ => throw new ServingException($"'side' of the category '{category.Name}' must be prompt, answer or both."),
    };
}
