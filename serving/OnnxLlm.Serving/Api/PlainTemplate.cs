using System.Collections.Immutable;
using System.Globalization;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// A conversation as a play, for base models without markers of their own: <c>User: …</c>, a blank line, <c>Assistant: …</c>.
/// The next "User:" ends the answer. A message that imitates the form cannot be told apart; models with markers should use them.
/// </summary>
internal sealed class PlainTemplate(Tokenizer tokenizer) : IChatTemplate
{
    public const string Label = "plain";

    public string Name => Label;

    public ImmutableArray<int> EndTokens => [];

    public ImmutableArray<string> Stops => ["\n\nUser:"];

    public int[] Encode(IReadOnlyList<ChatMessage> messages, bool open)
    {
        var turns = messages.Select(message => $"{Title(message.Role)}: {message.Content}");
        return tokenizer.EncodePrompt(string.Join("\n\n", open ? [.. turns, "Assistant:"] : turns));
    }

    private static string Title(string role) => role.Length == 0 ? role : char.ToUpper(role[0], CultureInfo.InvariantCulture) + role[1..];
}
