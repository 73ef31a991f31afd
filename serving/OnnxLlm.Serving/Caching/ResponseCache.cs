using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Caching;

/// <summary>
/// Answers to deterministic requests, kept as the pieces they came in, so that a stream from the cache is the same stream.
/// Bounded by bytes; the least used go first. Behind it there may be a cache that replicas share.
/// </summary>
/// <param name="fingerprint">Of all that answers depend on beside the request.</param>
internal sealed class ResponseCache(long bytes, string fingerprint, ServingMetrics metrics, SharedCache? shared = null) : IDisposable
{
    private readonly MemoryCache _entries = new(new MemoryCacheOptions { SizeLimit = Math.Max(1, bytes) });

    /// <summary>The request's key, or null where its answer must not be kept: drawn by chance, or the cache is off.</summary>
    public string? Key(GenerationRequest request)
    {
        if (bytes <= 0 || !request.IsDeterministic) return null;
        var hash = SHA256.HashData([.. JsonSerializer.SerializeToUtf8Bytes(request), .. System.Text.Encoding.UTF8.GetBytes(fingerprint)]);
        return Convert.ToHexString(hash);
    }

    /// <param name="choices">How many the request asks for.</param>
    public async ValueTask<CachedAnswer?> FindAsync(string key, int choices)
    {
        var answer = _entries.Get<CachedAnswer>(key);
        if (answer is null && shared is not null && await shared.FindAsync(key, choices, metrics).ConfigureAwait(false) is { } found) Keep(key, answer = found);
        (answer is null ? metrics.CacheMisses : metrics.CacheHits).Add(1);
        return answer;
    }

    public void Store(string key, CachedAnswer answer)
    {
        Keep(key, answer);
        if (shared is not null) _ = shared.StoreAsync(key, answer, metrics);
    }

    public void Clear() => _entries.Clear();

    public void Dispose() => _entries.Dispose();

    private void Keep(string key, CachedAnswer answer)
    {
        using var entry = _entries.CreateEntry(key);
        entry.Value = answer;
        entry.Size = answer.Bytes;
    }
}

/// <summary>A whole answer.</summary>
internal sealed record CachedAnswer(ImmutableArray<ChoiceDelta> Deltas, Usage Usage)
{
    private const int DeltaBytes = 64;
    private const int ScoreBytes = 160;

    /// <summary>An estimate of the memory it takes.</summary>
    public long Bytes => Deltas.Sum(delta => DeltaBytes + (2L * delta.Text.Length) + delta.Scores.Sum(score => ScoreBytes * (1L + score.Top.Length)));

    /// <summary>Each of so many choices has an end, and all can be written.</summary>
    public bool IsFor(int choices) =>
        Usage is { PromptTokens: >= 0, CompletionTokens: >= 0, CachedTokens: >= 0 } && Deltas.All(delta => IsSound(delta, choices)) &&
        Deltas.Where(delta => delta.Finish is not null).Select(delta => delta.Choice).Order().SequenceEqual(Enumerable.Range(0, choices));

    private static bool IsSound(ChoiceDelta? delta, int choices) =>
        delta is { Choice: >= 0 } && delta.Choice < choices && (delta.Finish is not { } reason || Enum.IsDefined(reason)) && delta.Scores.All(IsSound);

    private static bool IsSound(ScoredToken? score) =>
        score is { Offset: >= 0 } && float.IsFinite(score.LogProb ?? 0) && score.Top.All(other => other is not null && float.IsFinite(other.LogProb));
}
