using System.Text;
using System.Text.Unicode;

namespace OnnxLlm.Text.Corpora;

/// <summary>Reads files that should be UTF-8 text, and tells what they are where they are not.</summary>
internal static class TextFile
{
    // Old eight-bit encodings of European languages stay below; compressed and compiled files are far above.
    private const double BinaryShare = 0.1;

    /// <summary>The bytes without a byte order mark; false with the reason where they are not text.</summary>
    public static bool TryRead(string path, out byte[] text, out string problem)
    {
        text = File.ReadAllBytes(path);
        if (text.AsSpan().StartsWith(Encoding.UTF8.Preamble))
            text = text[Encoding.UTF8.Preamble.Length..];
        problem = Problem(path, text);
        return problem.Length == 0;
    }

    private static string Problem(string path, ReadOnlySpan<byte> text)
    {
        if (text.StartsWith(Encoding.Unicode.Preamble) || text.StartsWith(Encoding.BigEndianUnicode.Preamble))
            return $"{path}: is UTF-16 text; save it as UTF-8";
        if (Utf8.IsValid(text) && !text.Contains((byte)0))
            return "";
        var (invalid, firstInvalid) = CountInvalid(text);
        long foreign = invalid + text.Count((byte)0);
        if (foreign > BinaryShare * text.Length)
            return FormattableString.Invariant($"{path}: looks like a binary file ({100.0 * foreign / text.Length:F0} % of its bytes are no text)");
        return invalid > 0 ? $"{path}: is not UTF-8 text (first invalid byte at offset {firstInvalid})" : "";
    }

    private static (long Count, long First) CountInvalid(ReadOnlySpan<byte> text)
    {
        long count = 0, first = -1;
        for (int position = 0; position < text.Length;)
        {
            if (Rune.DecodeFromUtf8(text[position..], out _, out int length) != System.Buffers.OperationStatus.Done)
            {
                first = first < 0 ? position : first;
                count += length;
            }
            position += length;
        }
        return (count, first);
    }
}
