namespace OnnxLlm.Tools.Measuring;

/// <summary>
/// One client with one connection. It blocks in the system while it waits, keeps what it reads, and looks at it when the answer is over:
/// on the processors that it shares with the server it takes hardly more time than a client elsewhere.
/// </summary>
internal sealed class StreamingClient(Uri server, string model, int tokens, TimeProvider time, string? key = null) : IDisposable
{
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromMinutes(2);

    private readonly HttpClient _http = new() { BaseAddress = server, Timeout = LongestAnswer };
    private readonly MemoryStream _body = new();
    private readonly List<(long Length, long Stamp)> _reads = [];
    private readonly byte[] _buffer = new byte[1 << 16];

    /// <summary>Sends a prompt and reads the answer to its end. The first token is there when the first bytes of the body are.</summary>
    public AnswerTime Ask(int[] prompt)
    {
        using HttpRequestMessage request = Request(prompt);
        long begin = time.GetTimestamp();
        using HttpResponseMessage response = _http.Send(request, HttpCompletionOption.ResponseHeadersRead);
        using Stream stream = response.Content.ReadAsStream();
        if (!response.IsSuccessStatusCode) throw new ToolException($"The server answered {(int)response.StatusCode}: {new StreamReader(stream).ReadToEnd()}");
        Read(stream);
        TimeSpan whole = time.GetElapsedTime(begin);
        StreamedBody body = Checked(response);
        AnswerTime answer = AnswerTime.Of(time, begin, [_reads[0].Stamp, .. body.Ends.Skip(1).Select(Arrival)], tokens);
        return answer with { RestMilliseconds = whole.TotalMilliseconds - answer.FirstMilliseconds };
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Request(int[] prompt)
    {
        HttpRequestMessage request = CompletionRequest.Greedy(model, prompt, tokens, stream: true);
        if (key is not null) request.Headers.Authorization = new("Bearer", key);
        return request;
    }

    /// <summary>Keeps all of the stream, and how much of it was there when.</summary>
    private void Read(Stream stream)
    {
        _body.SetLength(0);
        _reads.Clear();
        while (stream.Read(_buffer) is var count and > 0)
        {
            long stamp = time.GetTimestamp();
            _body.Write(_buffer, 0, count);
            _reads.Add((_body.Length, stamp));
        }
    }

    private long Arrival(int end) => _reads.First(read => read.Length >= end).Stamp;

    /// <summary>An answer that was shorter, or came from the cache, would be no measurement.</summary>
    private StreamedBody Checked(HttpResponseMessage response)
    {
        StreamedBody body = StreamedBody.Read(_body.GetBuffer().AsSpan(0, (int)_body.Length));
        if (body.Tokens != tokens) throw new ToolException($"The server generated {body.Tokens} tokens, not {tokens}.");
        if (response.Headers.TryGetValues("x-cache", out IEnumerable<string>? state) && state.Contains("hit"))
            throw new ToolException("The server answered from its cache.");
        return body;
    }
}
