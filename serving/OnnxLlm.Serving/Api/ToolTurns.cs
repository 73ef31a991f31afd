using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Functions, calls and results as the text of turns: JSON between tags, as models with ChatML markers were trained on. For a template they are messages like any other.
/// </summary>
internal static class ToolTurns
{
    public const string CallBegin = "<tool_call>", CallEnd = "</tool_call>";

    /// <summary>What a call says before its arguments, apart from one space that may follow.</summary>
    public const string Arguments = "\"arguments\":";

    /// <summary>The messages with the functions on offer in front, in the system's turn.</summary>
    public static IReadOnlyList<ChatMessage> Offering(IReadOnlyList<Tool> tools, IReadOnlyList<ChatMessage> messages)
    {
        var offer = $$"""
            # Tools

            You may call functions to answer. These are their signatures, between <tools> and </tools>:
            <tools>
            {{string.Join('\n', tools.Select(tool => tool.Json))}}
            </tools>

            To call one, write its name and its arguments as JSON between the tags <tool_call> and </tool_call>:
            <tool_call>
            {"name": <name>, "arguments": <arguments>}
            </tool_call>
            """;
        return messages[0] is { Role: "system" } system
            ? [system with { Content = $"{system.Content}\n\n{offer}" }, .. messages.Skip(1)]
            : [new ChatMessage("system", offer), .. messages];
    }

    /// <summary>A call that the assistant made earlier.</summary>
    /// <param name="arguments">JSON.</param>
    public static string Call(string name, string arguments) => $"{CallBegin}\n{{\"name\": {JsonSerializer.Serialize(name)}, {Arguments} {arguments}}}\n{CallEnd}";

    /// <summary>What functions gave is told by the user: results that follow each other are one turn.</summary>
    public static IReadOnlyList<ChatMessage> WithResults(IReadOnlyList<ChatMessage> messages)
    {
        var turns = new List<ChatMessage>();
        var wasResult = false;
        foreach (var message in messages)
        {
            var isResult = message.Role == "tool";
            var result = $"<tool_response>\n{message.Content}\n</tool_response>";
            if (!isResult) turns.Add(message);
            else if (wasResult) turns[^1] = turns[^1] with { Content = $"{turns[^1].Content}\n{result}" };
            else turns.Add(new ChatMessage("user", result));
            wasResult = isResult;
        }

        return turns;
    }
}
