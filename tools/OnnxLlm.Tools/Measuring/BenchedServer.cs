using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tools.Measuring;

/// <summary>A running server that speaks the OpenAI API.</summary>
/// <param name="Address">Without <c>/v1</c>.</param>
/// <param name="Model">Name of the model that is asked.</param>
/// <param name="Vocabulary">Token ids below this are the model's.</param>
/// <param name="Key">API key; null: none is sent.</param>
internal sealed record BenchedServer(Uri Address, string Model, int Vocabulary, string? Key)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>The address in a command's argument; null where it is none, but a folder.</summary>
    public static Uri? AddressOf(string target)
    {
        if (!Uri.TryCreate(target, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https")) return null;
        return new Uri(uri.GetLeftPart(UriPartial.Authority));
    }

    /// <summary>Asks the server for what is not given.</summary>
    /// <exception cref="ToolException">It does not answer, or does not say.</exception>
    public static BenchedServer Find(Uri address, string? model, int? vocabulary, string? key)
    {
        using var http = new HttpClient { BaseAddress = address, Timeout = Patience };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        model ??= (string?)Get(http, "/v1/models")["data"]?.AsArray().FirstOrDefault()?["id"] ?? throw new ToolException($"{address} lists no model; name one with --model.");
        vocabulary ??= (int?)Get(http, "/tokenizer_info")["vocab_size"] ?? throw new ToolException($"{address} does not say how many tokens its model knows; say it with --vocabulary.");
        return new(address, model, vocabulary.Value, key);
    }

    private static JsonNode Get(HttpClient http, string path)
    {
        try
        {
            using HttpResponseMessage response = http.Send(new HttpRequestMessage(HttpMethod.Get, path));
            if (!response.IsSuccessStatusCode) throw new ToolException($"{http.BaseAddress}{path[1..]} answered {(int)response.StatusCode}.");
            using Stream body = response.Content.ReadAsStream();
            return JsonNode.Parse(body) ?? throw new ToolException($"{http.BaseAddress}{path[1..]} answered nothing.");
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException or JsonException)
        {
            throw new ToolException($"{http.BaseAddress}{path[1..]}: {error.Message}");
        }
    }
}
