using System.Text;

namespace OnnxLlm.Text.Corpora;

/// <summary>
/// Cuts one large text into documents: at every <c>&lt;|endoftext|&gt;</c> where it has any; else behind the first blank line after
/// <see cref="LeastBytes"/>, or behind a line where blank lines are rare. Text added at the end changes only the last document.
/// </summary>
internal static class TextCutter
{
    private const int LeastBytes = 4096;
    private const int MostBytes = 65536;

    public static IEnumerable<string> Cut(byte[] text)
        => text.AsSpan().IndexOf("<|endoftext|>"u8) >= 0 ? Encoding.UTF8.GetString(text).Split("<|endoftext|>").Select(part => part.Trim()) : CutParagraphs(text);

    private static IEnumerable<string> CutParagraphs(byte[] text)
    {
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = start + PartLength(text.AsSpan(start));
            yield return Encoding.UTF8.GetString(text, start, end - start);
        }
    }

    private static int PartLength(ReadOnlySpan<byte> text)
    {
        if (text.Length <= LeastBytes)
            return text.Length;
        var window = text[LeastBytes..Math.Min(text.Length, MostBytes)];
        int blank = Math.Max(window.IndexOf("\n\n"u8), window.IndexOf("\n\r\n"u8));
        int end = LeastBytes + (blank >= 0 ? blank : text[LeastBytes..].IndexOf((byte)'\n'));
        if (end < LeastBytes)
            return text.Length;
        int next = text[end..].IndexOfAnyExcept((byte)'\n', (byte)'\r');
        return next < 0 ? text.Length : end + next;
    }
}
