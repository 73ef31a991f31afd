using System.Text;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>The texts of a model's tokens, each made when it is first needed and then kept: answers with scores name the same ones again and again.</summary>
internal sealed class TokenTexts(Tokenizer tokenizer)
{
    private readonly TokenText?[] _texts = new TokenText?[tokenizer.VocabularySize];

    /// <summary>From any thread: of two that make the same text at once, either is right.</summary>
    public TokenText this[int token] => _texts[token] ??= Make(token);

    private TokenText Make(int token)
    {
        var bytes = tokenizer.Bytes(token);
        return new(token, Encoding.UTF8.GetString(bytes), [.. bytes], tokenizer.IsSpecial(token));
    }
}
