using System.Globalization;
using System.Text;

namespace OnnxLlm.Text.Bpe;

/// <summary>How SentencePiece's files spell tokens: a space is U+2581, and a token for a single byte is <c>&lt;0x0A&gt;</c>.</summary>
internal static class SentencePieceAlphabet
{
    public const char SpaceSign = '\u2581';

    /// <summary>The sign that stands for a space, in UTF-8.</summary>
    public static ReadOnlySpan<byte> Space => [0xE2, 0x96, 0x81];

    public static string Spell(ReadOnlySpan<byte> token, bool isByte) => isByte
        ? SpellByte(token[0])
        : Encoding.UTF8.GetString(token).Replace(' ', SpaceSign);

    public static byte[] Read(string spelling) => IsByte(spelling, out byte value) ? [value] : Encoding.UTF8.GetBytes(spelling.Replace(SpaceSign, ' '));

    /// <summary>The tokens of the 256 bytes, -1 where one is missing.</summary>
    public static int[] ByteTokens(IReadOnlyDictionary<string, int> ids) => [.. Enumerable.Range(0, 256).Select(b => ids.GetValueOrDefault(SpellByte((byte)b), -1))];

    private static string SpellByte(byte value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    private static bool IsByte(string spelling, out byte value)
    {
        value = 0;
        return spelling.Length == 6 && spelling.StartsWith("<0x", StringComparison.Ordinal) && spelling[5] == '>'
            && byte.TryParse(spelling.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
