using System.Net.Http.Headers;
using System.Text.Json;
using OnnxLlm.Benchmarks.Decode;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>
/// One client with one connection. It blocks in the system while it waits, keeps what it reads, and looks at it when the answer is over:
/// on the processors that it shares with the server it takes hardly more time than a client elsewhere.
/// </summary>
internal sealed class StreamingClient(Uri server, string model, int tokens, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromMinutes(2);

    private readonly HttpClient _http = new() { BaseAddress = server, Timeout = LongestAnswer };
    private readonly MemoryStream _body = new();
    private readonly byte[] _buffer = new byte[1 << 16];

    /// <summary>Sends a prompt and reads the answer to its end. The first token is there when the first bytes of the body are.</summary>
    public AnswerTime Ask(int[] prompt)
    {
        using HttpRequestMessage request = Request(prompt);
        long begin = time.GetTimestamp();
        using HttpResponseMessage response = _http.Send(request, HttpCompletionOption.ResponseHeadersRead);
        using Stream stream = response.Content.ReadAsStream();
        if (!response.IsSuccessStatusCode) throw new BenchmarkException($"The server answered {(int)response.StatusCode}: {new StreamReader(stream).ReadToEnd()}");
        TimeSpan first = Read(stream, begin), whole = time.GetElapsedTime(begin);
        Check(response);
        return new(first.TotalMilliseconds, (whole - first).TotalMilliseconds, tokens);
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Request(int[] prompt)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(new
        {
            model,
            prompt,
            max_tokens = tokens,
            temperature = 0,
            ignore_eos = true,
            stream = true,
            stream_options = new { include_usage = true },
        });
        var content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        return new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = content };
    }

    /// <summary>Keeps all of the stream; returns when its first bytes came.</summary>
    private TimeSpan Read(Stream stream, long begin)
    {
        _body.SetLength(0);
        TimeSpan first = default;
        while (stream.Read(_buffer) is var count and > 0)
        {
            if (_body.Length == 0) first = time.GetElapsedTime(begin);
            _body.Write(_buffer, 0, count);
        }
        return first;
    }

    /// <summary>An answer that was shorter, or came from the cache, would be no measurement.</summary>
    private void Check(HttpResponseMessage response)
    {
        _body.Position = 0;
        int generated = StreamedBody.Tokens(_body);
        if (generated != tokens) throw new BenchmarkException($"The server generated {generated} tokens, not {tokens}.");
        if (response.Headers.TryGetValues("x-cache", out IEnumerable<string>? state) && state.Contains("hit"))
            throw new BenchmarkException("The server answered from its cache.");
    }
}
