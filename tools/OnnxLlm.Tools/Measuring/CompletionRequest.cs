using System.Net.Http.Headers;
using System.Text.Json;

namespace OnnxLlm.Tools.Measuring;

/// <summary>What measuring clients ask.</summary>
internal static class CompletionRequest
{
    /// <summary>As many tokens as asked for, the likeliest each.</summary>
    public static HttpRequestMessage Greedy(string model, int[] prompt, int tokens, bool stream) => Post("/v1/completions", new
    {
        model,
        prompt,
        max_tokens = tokens,
        temperature = 0,
        ignore_eos = true,
        stream,
        stream_options = new { include_usage = true },
    });

    public static HttpRequestMessage Post(string path, object body)
    {
        var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        return new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
    }
}
