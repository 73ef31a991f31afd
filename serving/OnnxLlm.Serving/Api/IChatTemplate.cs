using System.Collections.Immutable;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>How a conversation becomes a prompt. What users write never becomes a special token.</summary>
internal interface IChatTemplate
{
    string Name { get; }

    /// <summary>Tokens that end a turn, besides the model's own.</summary>
    ImmutableArray<int> EndTokens { get; }

    /// <summary>Text that would begin someone else's turn.</summary>
    ImmutableArray<string> Stops { get; }

    /// <param name="open">End with the beginning of the assistant's turn.</param>
    int[] Encode(IReadOnlyList<ChatMessage> messages, bool open);
}

/// <summary>Finds the built-in template that a name or a tokenizer's Jinja source stands for.</summary>
internal static class ChatTemplates
{
    /// <param name="name">What the operator chose, or null to go by the tokenizer's own template.</param>
    /// <returns>Null where the tokenizer has no template, or one that is none of the built-in ones.</returns>
    /// <exception cref="ServingException">The name is unknown, or the tokenizer lacks what the template needs.</exception>
    public static IChatTemplate? Find(string? name, Tokenizer tokenizer) => (name ?? Recognize(tokenizer.ChatTemplate)) switch
    {
        null => null,
        PlainTemplate.Label => new PlainTemplate(tokenizer),
        ChatMlTemplate.Label => new ChatMlTemplate(tokenizer, ChatMlTemplate.UsualSystem(tokenizer.ChatTemplate)),
        var other => throw new ServingException($"There is no chat template '{other}'; there are {PlainTemplate.Label} and {ChatMlTemplate.Label}."),
    };

    private static string? Recognize(string? source) => source switch
    {
        PlainTemplate.Label or ChatMlTemplate.Label => source,
        { } jinja when jinja.Contains(ChatMlTemplate.Start, StringComparison.Ordinal) && jinja.Contains(ChatMlTemplate.End, StringComparison.Ordinal) => ChatMlTemplate.Label,
        _ => null,
    };
}
