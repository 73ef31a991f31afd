using System.Text.Json;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Caching;

/// <summary>Answers that all replicas share, in Redis. Whatever goes wrong there, the request is answered as if nothing had been found.</summary>
internal sealed class SharedCache(Uri address, TimeProvider time, ILogger<SharedCache> logger) : IDisposable
{
    private const string Prefix = "onnxllm:answer:2:";
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);

    private readonly RedisConnection _redis = new(address, time);

    public async Task<CachedAnswer?> FindAsync(string key, ServingMetrics metrics)
    {
        try
        {
            var value = await _redis.GetAsync(Prefix + key).ConfigureAwait(false);
            if (value is not null) metrics.SharedCacheHits.Add(1);
            return value is null ? null : JsonSerializer.Deserialize<CachedAnswer>(value);
        }
        catch (Exception fault) when (fault is ServingException or JsonException)
        {
            Note(fault, metrics);
            return null;
        }
    }

    public async Task StoreAsync(string key, CachedAnswer answer, ServingMetrics metrics)
    {
        try
        {
            await _redis.SetAsync(Prefix + key, JsonSerializer.SerializeToUtf8Bytes(answer), Life).ConfigureAwait(false);
        }
        catch (ServingException fault)
        {
            Note(fault, metrics);
        }
    }

    public void Dispose() => _redis.Dispose();

    private void Note(Exception fault, ServingMetrics metrics)
    {
        metrics.SharedCacheErrors.Add(1);
        logger.LogWarning("The shared cache is not used: {Reason}", fault.Message);
    }
}
