using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Requests and tokens per minute of one key: two buckets that fill steadily. A request must find both not empty; its tokens are taken once they are known. Beside them
/// there may be a number of tokens for as long as the server runs, which nothing fills again.
/// </summary>
internal sealed class Quota(int? requestsPerMinute, int? tokensPerMinute, long? totalTokens, TimeProvider time)
{
    private long _left = totalTokens ?? long.MaxValue;
    private readonly Bucket _requests = new(requestsPerMinute, time);
    private readonly Bucket _tokens = new(tokensPerMinute, time);

    /// <summary>Takes one request; or says for how long not.</summary>
    public ApiError? Enter(HttpContext context)
    {
        if (Volatile.Read(ref _left) <= 0) return ApiError.InsufficientQuota();
        var wait = Math.Max(_requests.Wait(1), _tokens.Wait(1));
        if (wait == 0) _requests.Take(1);
        Describe(context.Response.Headers, "requests", _requests);
        Describe(context.Response.Headers, "tokens", _tokens);
        return wait == 0 ? null : ApiError.RateLimit((int)Math.Ceiling(wait));
    }

    public void Charge(int tokens)
    {
        _tokens.Take(tokens);
        if (totalTokens is not null) Interlocked.Add(ref _left, -tokens);
    }

    private static void Describe(IHeaderDictionary headers, string unit, Bucket bucket)
    {
        if (bucket.Limit is not { } limit) return;
        headers[$"x-ratelimit-limit-{unit}"] = limit.ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-remaining-{unit}"] = Math.Max(0, (long)bucket.Level).ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-reset-{unit}"] = FormattableString.Invariant($"{bucket.Wait(limit):0.###}s");
    }

    private sealed class Bucket(int? limit, TimeProvider time)
    {
        private readonly Lock _lock = new();
        private double _level = limit ?? 0;
        private long _filled = time.GetTimestamp();

        public int? Limit => limit;

        public double Level
        {
            get { lock (_lock) return Filled(); }
        }

        /// <summary>Seconds until <paramref name="amount"/> is there.</summary>
        public double Wait(int amount) => limit is { } perMinute ? Math.Max(0, amount - Level) * 60 / perMinute : 0;

        public void Take(int amount)
        {
            lock (_lock) _level = Filled() - amount;
        }

        private double Filled()
        {
            if (limit is not { } perMinute) return 0;
            var now = time.GetTimestamp();
            _level = Math.Min(perMinute, _level + time.GetElapsedTime(_filled, now).TotalMinutes * perMinute);
            _filled = now;
            return _level;
        }
    }
}
