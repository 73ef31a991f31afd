using System.Diagnostics.CodeAnalysis;

namespace OnnxLlm.Text.Bpe;

/// <summary>
/// The alphabet in which byte-level BPE files spell tokens: one visible character per byte. Printable Latin-1 stands for itself; the
/// other 68 bytes take U+0100, U+0101, … in byte order (so a space is "Ġ"). Ordered by code point, it is GPT-2's first 256 ids.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] CharOfByte = BuildAlphabet();
    private static readonly short[] ByteOfChar = Invert(CharOfByte);

    /// <summary>The 256 bytes by the code point of their character: the order in which tokenizers number them.</summary>
    public static IEnumerable<byte> InOrder => Enumerable.Range(0, 256).OrderBy(b => CharOfByte[b]).Select(b => (byte)b);

    public static string Spell(ReadOnlySpan<byte> bytes)
    {
        var spelling = new char[bytes.Length];
        for (int i = 0; i < bytes.Length; i++)
            spelling[i] = CharOfByte[bytes[i]];
        return new string(spelling);
    }

    /// <summary>The bytes behind a spelling; false where a character is not in the alphabet.</summary>
    public static bool TryRead(string spelling, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = new byte[spelling.Length];
        for (int i = 0; i < spelling.Length; i++)
        {
            int value = spelling[i] < ByteOfChar.Length ? ByteOfChar[spelling[i]] : -1;
            if (value < 0)
            {
                bytes = null;
                return false;
            }
            bytes[i] = (byte)value;
        }
        return true;
    }

    private static char[] BuildAlphabet()
    {
        var alphabet = new char[256];
        char next = '\u0100';
        for (int b = 0; b < 256; b++)
            alphabet[b] = IsVisible(b) ? (char)b : next++;
        return alphabet;
    }

    // U+00AD is the soft hyphen, which shows nothing.
    private static bool IsVisible(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xFF and not 0xAD);

    private static short[] Invert(char[] alphabet)
    {
        var bytes = new short[alphabet.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (int b = 0; b < 256; b++)
            bytes[alphabet[b]] = (short)b;
        return bytes;
    }
}
