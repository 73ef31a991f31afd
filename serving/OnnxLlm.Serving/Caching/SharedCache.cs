using System.Text.Json;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Caching;

/// <summary>Answers that all replicas share, in Redis. Whatever goes wrong there, the request is answered as if nothing had been found.</summary>
internal sealed class SharedCache(Uri address, TimeProvider time, ILogger<SharedCache> logger) : IDisposable
{
    private const string Prefix = "onnxllm:answer:2:";
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);

    /// <summary>What has the wrong form is no answer.</summary>
    private static readonly JsonSerializerOptions Strict = new() { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    private readonly RedisConnection _redis = new(address, time);

    /// <param name="choices">How many the request asks for. Anyone may have written what is found, so an answer of another form is none.</param>
    public async Task<CachedAnswer?> FindAsync(string key, int choices, ServingMetrics metrics)
    {
        try
        {
            if (await _redis.GetAsync(Prefix + key).ConfigureAwait(false) is not { } value) return null;
            if (JsonSerializer.Deserialize<CachedAnswer>(value, Strict) is not { } answer || !answer.IsFor(choices)) throw new ServingException("What it holds is no answer.");
            metrics.SharedCacheHits.Add(1);
            return answer;
        }
        catch (Exception fault)
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
