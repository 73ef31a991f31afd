using System.Globalization;
using StackExchange.Redis;

namespace OnnxLlm.Serving.Caching;

/// <summary>
/// Values in Redis, asked for with little patience: it connects when it is first needed, and after a failure it is left alone for a while, so that a Redis that is down, or hangs, costs no
/// request its time. The client connects again by itself.
/// </summary>
internal sealed class RedisConnection : IDisposable
{
    private const int UsualPort = 6379;
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(5);

    private readonly Lazy<Task<ConnectionMultiplexer>> _redis;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private long? _failed;

    /// <param name="address">As in <c>redis://:password@host:6379/2</c>, or <c>rediss://</c> for TLS; without a number it is database 0.</param>
    /// <param name="time">Tells how long it is left alone.</param>
    /// <exception cref="ServingException">What follows the host is no number.</exception>
    public RedisConnection(Uri address, TimeProvider time)
    {
        var options = Options(address);
        (_redis, _time) = (new(() => ConnectionMultiplexer.ConnectAsync(options)), time);
    }

    /// <summary>The value of a key; null where it has none.</summary>
    /// <exception cref="ServingException">Redis does not answer, or is not asked because it did not a moment ago.</exception>
    public async Task<byte[]?> GetAsync(string key) => await AskAsync(database => database.StringGetAsync(key)).ConfigureAwait(false);

    /// <inheritdoc cref="GetAsync"/>
    public Task SetAsync(string key, byte[] value, TimeSpan life) => AskAsync(database => database.StringSetAsync(key, value, life));

    public void Dispose()
    {
        if (_redis is { IsValueCreated: true, Value: { IsCompletedSuccessfully: true } connected }) connected.Result.Dispose();
    }

    private static ConfigurationOptions Options(Uri address)
    {
        string[] parts = [.. address.UserInfo.Split(':', 2).Select(Uri.UnescapeDataString)];
        return new ConfigurationOptions
        {
            EndPoints = { { address.Host, address.Port > 0 ? address.Port : UsualPort } },
            Ssl = address.Scheme == "rediss",
            User = parts is [{ Length: > 0 } user, _] ? user : null,
            Password = parts is [.., { Length: > 0 } password] ? password : null,
            DefaultDatabase = DatabaseOf(address),
            ConnectTimeout = (int)Patience.TotalMilliseconds,
            AsyncTimeout = (int)Patience.TotalMilliseconds,
            AbortOnConnectFail = false,
            BacklogPolicy = BacklogPolicy.FailFast,
            TieBreaker = "",                // these two are for several servers
            ConfigurationChannel = "",
        };
    }

    private static int DatabaseOf(Uri address)
    {
        var path = address.AbsolutePath.Trim('/');
        if (path.Length == 0) return 0;
        return int.TryParse(path, NumberStyles.None, CultureInfo.InvariantCulture, out var database)
            ? database
            : throw new ServingException($"--redis: databases of Redis have numbers, as in {address.Scheme}://{address.Host}/0; '{path}' is none.");
    }

    private async Task<T> AskAsync<T>(Func<IDatabase, Task<T>> ask)
    {
        lock (_gate)
            if (_failed is { } then && _time.GetElapsedTime(then) < Rest) throw new ServingException("Redis is left alone after a failure.");
        try
        {
            return await AnswerAsync(ask).WaitAsync(Patience, _time).ConfigureAwait(false);
        }
        catch (Exception fault)
        {
            lock (_gate) _failed = _time.GetTimestamp();
            throw new ServingException($"Redis does not answer: {fault.Message}", fault);
        }
    }

    private async Task<T> AnswerAsync<T>(Func<IDatabase, Task<T>> ask)
    {
        var redis = await _redis.Value.ConfigureAwait(false);
        return await ask(redis.GetDatabase()).ConfigureAwait(false);
    }
}
