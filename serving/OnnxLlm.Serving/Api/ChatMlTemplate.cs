using System.Collections.Immutable;
using System.Text.RegularExpressions;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>Turns between two special tokens, as many instruction-tuned models were trained on. The markers are set by id, never by spelling.</summary>
internal sealed partial class ChatMlTemplate : IChatTemplate
{
    public const string Label = "chatml";
    public const string Start = "<|im_start|>";
    public const string End = "<|im_end|>";
    private const string System = "system";

    private readonly Tokenizer _tokenizer;
    private readonly ChatMessage? _usual;
    private readonly int _start;
    private readonly int _end;

    /// <param name="tokenizer">Has the markers.</param>
    /// <param name="system">What the system says where a conversation begins without it; null for nothing.</param>
    public ChatMlTemplate(Tokenizer tokenizer, string? system = null)
    {
        (_tokenizer, _start, _end) = (tokenizer, Marker(tokenizer, Start), Marker(tokenizer, End));
        _usual = system is null ? null : new ChatMessage(System, system);
    }

    public string Name => Label;

    public ImmutableArray<int> EndTokens => [_end];

    public ImmutableArray<string> Stops => [];

    public int[] Encode(IReadOnlyList<ChatMessage> messages, bool open)
    {
        var newline = _tokenizer.Encode("\n");
        IEnumerable<ChatMessage> all = _usual is not null && messages is not [{ Role: System }, ..] ? messages.Prepend(_usual) : messages;
        var turns = all.SelectMany(message => (int[])[_start, .. _tokenizer.Encode($"{message.Role}\n{message.Content}"), _end, .. newline]);
        return open ? [.. turns, _start, .. _tokenizer.Encode("assistant\n")] : [.. turns];
    }

    /// <summary>What a template in Jinja has the system say by itself: the one turn of it that is written out. A model was trained with it, and answers otherwise without.</summary>
    public static string? UsualSystem(string? jinja) => jinja is not null && WrittenOut().Match(jinja) is { Success: true } turn
        ? Escaped().Replace(turn.Groups[2].Value, escape => escape.Value[1] switch { 'n' => "\n", 't' => "\t", var other => $"{other}" })
        : null;

    /// <summary>Inside the quotes that it begins with.</summary>
    [GeneratedRegex("""(['"])<\|im_start\|>system(?:\n|\\n)((?:(?!\1)[^{}<>\\]|\\.)+)<\|im_end\|>""")]
    private static partial Regex WrittenOut();

    [GeneratedRegex(@"\\.")]
    private static partial Regex Escaped();

    private static int Marker(Tokenizer tokenizer, string spelling) =>
        tokenizer.Special.Ids.TryGetValue(spelling, out var id)
            ? id
            : throw new ServingException($"The chat template {Label} needs the special token {spelling}, which the tokenizer does not have.");
}
