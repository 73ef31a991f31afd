using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Benchmarks.Arrivals;

/// <summary>One client with one stream, which notes when something of it came.</summary>
internal sealed class WatchingClient(Uri server, string model, TimeProvider time) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = server, Timeout = Timeout.InfiniteTimeSpan };
    private readonly List<long> _arrivals = [];
    private readonly byte[] _buffer = new byte[1 << 16];

    /// <summary>Pieces so far.</summary>
    public int Count
    {
        get { lock (_arrivals) return _arrivals.Count; }
    }

    /// <summary>Reads an answer until it ends or is no longer wanted.</summary>
    public async Task WatchAsync(int[] prompt, int tokens, CancellationToken leave)
    {
        try
        {
            using HttpRequestMessage request = CompletionRequest.Greedy(model, prompt, tokens, stream: true);
            using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave).ConfigureAwait(false);
            response.EnsureSuccessStatusCode();
            using Stream stream = await response.Content.ReadAsStreamAsync(leave).ConfigureAwait(false);
            while (await stream.ReadAsync(_buffer, leave).ConfigureAwait(false) > 0)
                lock (_arrivals) _arrivals.Add(time.GetTimestamp());
        }
        catch (OperationCanceledException) when (leave.IsCancellationRequested)
        {
            // Enough was seen.
        }
    }

    /// <summary>Milliseconds between two pieces that both came in a span of time.</summary>
    public IReadOnlyList<double> Gaps(long from, long to)
    {
        lock (_arrivals)
        {
            long[] within = [.. _arrivals.Where(stamp => stamp >= from && stamp <= to)];
            return [.. within.Zip(within.Skip(1), (one, next) => time.GetElapsedTime(one, next).TotalMilliseconds)];
        }
    }

    public void Dispose() => _http.Dispose();
}
