using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace OnnxLlm.Text;

/// <summary>
/// Turns tokens into text one at a time. A character whose bytes are spread over several tokens appears when its last byte does;
/// the pieces together equal <see cref="Tokenizer.Decode"/> of the whole. Not for several threads.
/// </summary>
[SuppressMessage("Naming", "CA1711", Justification = "It is a stream of tokens; System.IO has no claim to the word.")]
public sealed class TokenStream
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecial;
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    internal TokenStream(Tokenizer tokenizer, bool skipSpecial)
    {
        _tokenizer = tokenizer;
        _skipSpecial = skipSpecial;
    }

    /// <summary>Takes one token; returns the text that it completes, which may be empty.</summary>
    public string Append(int id)
        => _skipSpecial && _tokenizer.IsSpecial(id) ? "" : Decode(_tokenizer.Bytes(id), flush: false);

    /// <summary>Ends the text: bytes still waiting for the rest of their character become U+FFFD. The stream may then be used anew.</summary>
    public string Finish() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        var text = new char[_decoder.GetCharCount(bytes, flush)];
        int length = _decoder.GetChars(bytes, text, flush);
        return new string(text, 0, length);
    }
}
