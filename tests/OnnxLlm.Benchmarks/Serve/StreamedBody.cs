using System.Net.ServerSentEvents;
using System.Text.Json;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>A whole stream of events, looked at after the clock has stopped, so that the client costs the server as little time as it can.</summary>
internal static class StreamedBody
{
    /// <summary>The tokens that the server says it has generated.</summary>
    /// <exception cref="BenchmarkException">The stream holds an error, or not all that belongs to it.</exception>
    public static int Tokens(Stream body)
    {
        int? tokens = null;
        string last = "";
        foreach (SseItem<string> item in SseParser.Create(body).Enumerate())
        {
            last = item.Data;
            if (last != "[DONE]") tokens = Usage(last) ?? tokens;
        }
        return last == "[DONE]" && tokens is { } counted ? counted : throw new BenchmarkException($"The server's stream broke off after: {last}");
    }

    private static int? Usage(string data)
    {
        using JsonDocument json = JsonDocument.Parse(data);
        return json.RootElement.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object
            ? usage.GetProperty("completion_tokens").GetInt32()
            : null;
    }
}
