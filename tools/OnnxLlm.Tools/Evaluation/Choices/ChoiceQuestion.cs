using System.Text.Json;

namespace OnnxLlm.Tools.Evaluation.Choices;

/// <summary>A text and ways to go on with it, one of which is right.</summary>
/// <param name="Context">May be empty.</param>
/// <param name="Choices">At least two, none of them empty.</param>
/// <param name="Answer">Which is right, from 0.</param>
internal sealed record ChoiceQuestion(string Context, string[] Choices, int Answer)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true };

    /// <summary>Reads a file with a question per line: <c>{"context": "…", "choices": ["…", "…"], "answer": 0}</c>; other keys are passed over.</summary>
    /// <exception cref="ToolException">A line is no question, which is said with its number, or there is none.</exception>
    public static ChoiceQuestion[] Read(string path)
    {
        ChoiceQuestion[] questions = [.. File.ReadLines(path).Index().Where(line => line.Item.Trim().Length > 0).Select(line => Parse(line.Item, $"{path}:{line.Index + 1}"))];
        return questions.Length > 0 ? questions : throw new ToolException($"'{path}' holds no question.");
    }

    private static ChoiceQuestion Parse(string line, string place)
    {
        try
        {
            ChoiceQuestion question = JsonSerializer.Deserialize<ChoiceQuestion>(line, Format) ?? throw new ToolException($"{place}: is null.");
            return question.Mistake is { } mistake ? throw new ToolException($"{place}: {mistake}.") : question;
        }
        catch (JsonException)
        {
            throw new ToolException($$"""{{place}}: is not {"context": "text", "choices": ["text", "text"], "answer": number}.""");
        }
    }

    private string? Mistake =>
        Choices.Length < 2 ? $"has {Choices.Length} choices; a question needs two"
        : Choices.Any(string.IsNullOrEmpty) ? "has an empty choice"
        : Answer < 0 || Answer >= Choices.Length ? $"the answer must be one of the choices 0 to {Choices.Length - 1}, not {Answer}"
        : null;
}
