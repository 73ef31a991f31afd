using System.Collections.Immutable;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>Turns between two special tokens, as many instruction-tuned models were trained on. The markers are set by id, never by spelling.</summary>
internal sealed class ChatMlTemplate : IChatTemplate
{
    public const string Label = "chatml";
    public const string Start = "<|im_start|>";
    public const string End = "<|im_end|>";

    private readonly Tokenizer _tokenizer;
    private readonly int _start;
    private readonly int _end;

    public ChatMlTemplate(Tokenizer tokenizer) =>
        (_tokenizer, _start, _end) = (tokenizer, Marker(tokenizer, Start), Marker(tokenizer, End));

    public string Name => Label;

    public ImmutableArray<int> EndTokens => [_end];

    public ImmutableArray<string> Stops => [];

    public int[] Encode(IReadOnlyList<ChatMessage> messages, bool open)
    {
        var newline = _tokenizer.Encode("\n");
        var turns = messages.SelectMany(message => (int[])[_start, .. _tokenizer.Encode($"{message.Role}\n{message.Content}"), _end, .. newline]);
        return open ? [.. turns, _start, .. _tokenizer.Encode("assistant\n")] : [.. turns];
    }

    private static int Marker(Tokenizer tokenizer, string spelling) =>
        tokenizer.Special.Ids.TryGetValue(spelling, out var id)
            ? id
            : throw new ServingException($"The chat template {Label} needs the special token {spelling}, which the tokenizer does not have.");
}
