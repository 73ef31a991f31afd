using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;

namespace OnnxLlm.Serving.Safety;

/// <summary>
/// The guardrails that the program and the operator have put up, the operator by a file:
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

    /// <summary>Changes whenever what is found may change.</summary>
    public string Fingerprint { get; } = string.Join('\n', [fingerprint, .. guardrails.Select(guardrail => guardrail.Version)]);

    public bool Any => guardrails.Count > 0;

    public IReadOnlyList<string> Categories { get; } = [.. guardrails.SelectMany(guardrail => guardrail.Categories).Distinct()];

    /// <param name="own">Those of the program that the server is part of.</param>
    /// <param name="path">The file; null for none.</param>
    /// <exception cref="ServingException">The file is missing or malformed.</exception>
    public static Guardrails Create(IReadOnlyList<IGuardrail> own, string? path)
    {
        var window = own.Select(guardrail => guardrail.Window).DefaultIfEmpty(0).Max();
        if (path is null) return new Guardrails(own, window);
        try
        {
            var file = File.ReadAllBytes(path);
            var contents = JsonSerializer.Deserialize<Contents>(file, Options) ?? throw new JsonException("it is empty.");
            return new Guardrails([.. Read(contents), .. own], Math.Max(contents.Window, window), Convert.ToHexStringLower(SHA256.HashData(file)));
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
            Finding[] findings = [.. guardrails.SelectMany(guardrail => guardrail.Inspect(text, side))];
            return Array.Find(findings, finding => finding.Start < 0 || finding.Start >= finding.End || finding.End > text.Length) is null ? findings : throw new ServingException("A guardrail found something outside the text.");
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

    private static List<IGuardrail> Read(Contents contents)
    {
        var longest = contents.Categories.SelectMany(category => category.Words).Select(word => word.Length).DefaultIfEmpty(0).Max();
        if (contents.Window is < 1 or > 4096 || contents.Window <= longest) throw new ServingException($"'window' must be from {longest + 1}, more than the longest word, to 4096.");
        if (contents.Categories.Any(category => category.Words.Any(string.IsNullOrEmpty))) throw new ServingException("a word is empty.");
        List<IGuardrail> guardrails = [.. contents.Categories.Select(category => new WordFilter(category.Name, category.Words, category.Patterns, Side(category)))];
        if (contents.PersonalData is not ("allow" or "mask" or "block")) throw new ServingException("'personal_data' must be allow, mask or block.");
        if (contents.PersonalData != "allow") guardrails.Add(new PersonalDataFilter(contents.PersonalData == "block"));
        return guardrails;
    }

    private static TextSide? Side(Category category) => category.Side switch
    {
        null or "both" => null,
        "prompt" => TextSide.Prompt,
        "answer" => TextSide.Answer,
        _ => throw new ServingException($"'side' of the category '{category.Name}' must be prompt, answer or both."),
    };
}
