using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace OnnxLlm.Serving.Caching;

/// <summary>
/// As much of a Redis client as a cache needs: GET, and SET with an expiry, in Redis' own protocol (RESP2) over one connection, one command after another. It connects when it is
/// first needed. After a failure it stays away for a while, so that a Redis that is down costs no request its time.
/// </summary>
/// <param name="address">As in <c>redis://:password@host:6379/2</c>; without a number it is database 0.</param>
internal sealed class RedisConnection(Uri address, TimeProvider time) : IDisposable
{
    private const int UsualPort = 6379;
    private const int LongestLine = 1024;
    private const int LargestValue = 64 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _turn = new(1);
    private TcpClient? _client;
    private BufferedStream? _stream;
    private long? _failed;

    /// <summary>The value of a key; null where it has none.</summary>
    /// <exception cref="ServingException">Redis does not answer, or is not asked because it did not a moment ago.</exception>
    public Task<byte[]?> GetAsync(string key) => AskAsync(["GET"u8.ToArray(), Bytes(key)]);

    /// <inheritdoc cref="GetAsync"/>
    public Task SetAsync(string key, byte[] value, TimeSpan life) =>
        AskAsync(["SET"u8.ToArray(), Bytes(key), value, "EX"u8.ToArray(), Bytes(((long)life.TotalSeconds).ToString(CultureInfo.InvariantCulture))]);

    public void Dispose()
    {
        Close();
        _turn.Dispose();
    }

    private async Task<byte[]?> AskAsync(byte[][] command)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        await EnterAsync(limit.Token).ConfigureAwait(false);
        try
        {
            if (_failed is { } then && time.GetElapsedTime(then) < Rest) throw new ServingException("Redis is left alone after a failure.");
            if (_stream is null) await ConnectAsync(limit.Token).ConfigureAwait(false);
            var answer = await ExchangeAsync(command, limit.Token).ConfigureAwait(false);
            _failed = null;
            return answer;
        }
        catch (Exception fault) when (fault is IOException or SocketException or OperationCanceledException or FormatException)
        {
            Close();
            _failed = time.GetTimestamp();
            throw new ServingException($"Redis does not answer: {fault.Message}", fault);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Waiting for one's turn counts: behind a Redis that is slow no queue of requests builds up.</summary>
    private async Task EnterAsync(CancellationToken limit)
    {
        try
        {
            await _turn.WaitAsync(limit).ConfigureAwait(false);
        }
        catch (OperationCanceledException late)
        {
            throw new ServingException("Redis is busy with other requests.", late);
        }
    }

    private async Task ConnectAsync(CancellationToken limit)
    {
        _client = new TcpClient { NoDelay = true };
        await _client.ConnectAsync(address.Host, address.Port > 0 ? address.Port : UsualPort, limit).ConfigureAwait(false);
        _stream = new BufferedStream(_client.GetStream());
        byte[][] parts = [.. Uri.UnescapeDataString(address.UserInfo).Split(':', 2).Where(part => part.Length > 0).Select(Bytes)];
        if (parts.Length > 0) await ExchangeAsync(["AUTH"u8.ToArray(), .. parts], limit).ConfigureAwait(false);
        if (address.AbsolutePath.Trim('/') is { Length: > 0 } database) await ExchangeAsync(["SELECT"u8.ToArray(), Bytes(database)], limit).ConfigureAwait(false);
    }

    private async Task<byte[]?> ExchangeAsync(byte[][] command, CancellationToken limit)
    {
        var (stream, request) = (_stream!, new MemoryStream());
        request.Write(Bytes($"*{command.Length}\r\n"));
        foreach (var part in command)
        {
            request.Write(Bytes($"${part.Length}\r\n"));
            request.Write(part);
            request.Write("\r\n"u8);
        }

        await stream.WriteAsync(request.ToArray(), limit).ConfigureAwait(false);
        await stream.FlushAsync(limit).ConfigureAwait(false);
        return await ReadAsync(stream, limit).ConfigureAwait(false);
    }

    /// <summary>A status (+OK), an error (-…), or bytes with their length before them.</summary>
    private static async Task<byte[]?> ReadAsync(BufferedStream stream, CancellationToken limit)
    {
        var line = await LineAsync(stream, limit).ConfigureAwait(false);
        if (line.StartsWith('+')) return null;
        if (!line.StartsWith('$')) throw new FormatException(line);
        if (!int.TryParse(line.AsSpan(1), CultureInfo.InvariantCulture, out var length) || length is < -1 or > LargestValue) throw new FormatException($"It announces a value of {line[1..]} bytes.");
        if (length < 0) return null;
        var value = new byte[length + 2];
        await stream.ReadExactlyAsync(value, limit).ConfigureAwait(false);
        return value[..length];
    }

    private static async Task<string> LineAsync(BufferedStream stream, CancellationToken limit)
    {
        var (line, one) = (new StringBuilder(), new byte[1]);
        while (line.Length < 2 || line[^1] != '\n')
        {
            await stream.ReadExactlyAsync(one, limit).ConfigureAwait(false);
            if (line.Length == LongestLine) throw new FormatException("It sends a line without an end.");
            line.Append((char)one[0]);
        }

        return line.ToString().TrimEnd();
    }

    private void Close()
    {
        _stream?.Dispose();
        _client?.Dispose();
        (_stream, _client) = (null, null);
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
