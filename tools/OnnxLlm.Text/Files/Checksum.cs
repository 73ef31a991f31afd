using System.Security.Cryptography;

namespace OnnxLlm.Text.Files;

/// <summary>SHA-256, in lower-case hexadecimal.</summary>
internal static class Checksum
{
    public static string OfFile(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    public static string Of(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Of several parts, kept apart.</summary>
    public static string Of(params IEnumerable<string> parts) => Of(System.Text.Encoding.UTF8.GetBytes(string.Join('\0', parts)));
}
