using System.Collections.Immutable;
using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Keys in a file: <c>{"keys":[{"name":"ci","sha256":"…","admin":false,"priority":0,"requests_per_minute":60,"tokens_per_minute":10000,"total_tokens":1000000}]}</c>. It holds hashes, so that
/// reading it opens nothing; <c>printf %s "$KEY" | sha256sum</c> makes one.
/// </summary>
internal static class KeyFile
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerOptions.Strict) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private sealed record Contents(ImmutableArray<Entry> Keys);

    private sealed record Entry
    {
        public required string Name { get; init; }

        public required string Sha256 { get; init; }

        public bool Admin { get; init; }

        public int Priority { get; init; }

        public int? RequestsPerMinute { get; init; }

        public int? TokensPerMinute { get; init; }

        public long? TotalTokens { get; init; }
    }

    /// <exception cref="ServingException">The file is missing or malformed.</exception>
    public static ImmutableArray<ApiKey> Read(string path)
    {
        try
        {
            var contents = JsonSerializer.Deserialize<Contents>(File.ReadAllBytes(path), Options) ?? throw new JsonException("it is empty.");
            return [.. contents.Keys.Select(entry => Key(path, entry))];
        }
        catch (Exception mistake) when (mistake is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ServingException($"The keys of {path} cannot be read: {mistake.Message}", mistake);
        }
    }

    private static ApiKey Key(string path, Entry entry)
    {
        if (entry.Sha256.Length != 64 || !entry.Sha256.All(char.IsAsciiHexDigit)) throw new ServingException($"{path}: the key '{entry.Name}' needs 'sha256', 64 hexadecimal digits.");
        if (entry.RequestsPerMinute < 1 || entry.TokensPerMinute < 1 || entry.TotalTokens < 1) throw new ServingException($"{path}: the quotas of the key '{entry.Name}' must be at least 1.");
        return new ApiKey(entry.Name, Convert.FromHexString(entry.Sha256))
        {
            IsAdmin = entry.Admin,
            Priority = entry.Priority,
            RequestsPerMinute = entry.RequestsPerMinute,
            TokensPerMinute = entry.TokensPerMinute,
            TotalTokens = entry.TotalTokens,
        };
    }
}
