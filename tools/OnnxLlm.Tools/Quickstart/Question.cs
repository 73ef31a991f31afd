using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>One prompt to an OpenAI-compatible server, answered as a stream.</summary>
internal sealed record Question(string Model, string Prompt)
{
    public int MaxTokens { get; init; } = 80;

    private object Body(bool stream) => new { model = Model, prompt = Prompt, max_tokens = MaxTokens, temperature = 0.7, seed = 7, stream };

    /// <summary>The same question for a user to ask.</summary>
    public string Curl(Uri server) =>
        $"curl -N {new Uri(server, "/v1/completions")} -H 'Content-Type: application/json' -d '{JsonSerializer.Serialize(Body(stream: true))}'";

    /// <summary>Writes the answer piece by piece as it arrives.</summary>
    public async Task Ask(HttpClient server, TextWriter output, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(Body(stream: true)) };
        using var response = await server.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        if (!response.IsSuccessStatusCode)
            throw new ToolException($"The server answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(stop)}");
        using var body = await response.Content.ReadAsStreamAsync(stop);
        await foreach (var item in SseParser.Create(body).EnumerateAsync(stop))
        {
            if (item.Data == "[DONE]") break;
            await output.WriteAsync(TextOf(item.Data));
            await output.FlushAsync(stop);
        }
        await output.WriteLineAsync();
    }

    private static string TextOf(string data)
    {
        using var json = JsonDocument.Parse(data);
        if (json.RootElement.TryGetProperty("error", out var error)) throw new ToolException($"The server broke off: {error}");
        var choices = json.RootElement.GetProperty("choices");
        return choices.GetArrayLength() == 0 ? "" : choices[0].GetProperty("text").GetString() ?? "";
    }
}
