using System.Text;
using System.Text.Json;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>How a request ended.</summary>
internal enum SoakOutcome
{
    /// <summary>With the whole answer.</summary>
    Answered,

    /// <summary>With the refusal that its mistake deserves.</summary>
    Refused,

    /// <summary>The client went away, as it had meant to.</summary>
    Left,

    /// <summary>With 429: the server had not taken it.</summary>
    TurnedAway,

    /// <summary>With 5xx.</summary>
    ServerError,

    /// <summary>The server had taken it, and the answer broke off, or was none.</summary>
    Broken,
}

/// <summary>The kinds of requests that the traffic is mixed from. Each knows how it ought to end.</summary>
internal sealed class SoakRequests(HttpClient http, string model)
{
    private const int Shared = 40, OwnAtMost = 60, AnswerAtMost = 80, Vocabulary = 2000;
    private const string Schema = """{"type":"object","properties":{"name":{"type":"string","maxLength":12},"ok":{"type":"boolean"}},"required":["name","ok"],"additionalProperties":false}""";

    /// <summary>Names for the report, in the order of <see cref="SendAsync"/>.</summary>
    public static IReadOnlyList<string> Kinds { get; } =
        ["completion", "completion, streamed", "chat", "chat, streamed", "JSON schema", "embeddings", "two choices", "disconnects", "times out", "nonsense"];

    /// <summary>The kind that has a mistake.</summary>
    public static int Nonsense => Kinds.Count - 1;

    /// <param name="kind">Index of <see cref="Kinds"/>.</param>
    public Task<SoakOutcome> SendAsync(int kind, Random random) => kind switch
    {
        0 => WholeAsync("/v1/completions", Completion(random, stream: false), IsAnswer),
        1 => StreamAsync("/v1/completions", Completion(random, stream: true)),
        2 => WholeAsync("/v1/chat/completions", Chat(random, stream: false), IsAnswer),
        3 => StreamAsync("/v1/chat/completions", Chat(random, stream: true)),
        4 => WholeAsync("/v1/completions", Constrained(random), IsValid),
        5 => WholeAsync("/v1/embeddings", new { model, input = Prompt(random) }, json => json.GetProperty("data")[0].GetProperty("embedding").GetArrayLength() > 0),
        6 => WholeAsync("/v1/completions", new { model, prompt = Prompt(random), max_tokens = random.Next(1, AnswerAtMost), n = 2, seed = random.Next() }, IsAnswer),
        7 => LeaveAsync(random),
        8 => GiveUpAsync(random),
        _ => WholeAsync("/v1/completions", new { model, prompt = Prompt(random), temperature = 9 }, _ => false),
    };

    private object Completion(Random random, bool stream) => new
    {
        model,
        prompt = Prompt(random),
        max_tokens = random.Next(1, AnswerAtMost),
        temperature = random.Next(2),
        stream,
    };

    private object Chat(Random random, bool stream) => new
    {
        model,
        messages = new[] { new { role = "user", content = random.GetString("abcdefghij ", random.Next(5, 60)) } },
        max_completion_tokens = random.Next(1, AnswerAtMost),
        stream,
    };

    private object Constrained(Random random) => new
    {
        model,
        prompt = Prompt(random),
        max_tokens = AnswerAtMost,
        response_format = new { type = "json_schema", json_schema = new { name = "answer", schema = JsonSerializer.Deserialize<JsonElement>(Schema) } },
    };

    /// <summary>Half of the prompts begin alike.</summary>
    private static int[] Prompt(Random random) =>
        [.. random.Next(2) == 0 ? Enumerable.Range(1, Shared) : [], .. Enumerable.Range(0, random.Next(1, OwnAtMost)).Select(_ => random.Next(Vocabulary))];

    private async Task<SoakOutcome> WholeAsync(string path, object body, Func<JsonElement, bool> isAnswer)
    {
        using HttpRequestMessage request = CompletionRequest.Post(path, body);
        using HttpResponseMessage response = await http.SendAsync(request).ConfigureAwait(false);
        byte[] text = await response.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
        if (Refusal(response) is { } refusal) return refusal;
        using JsonDocument json = JsonDocument.Parse(text);
        return isAnswer(json.RootElement) ? SoakOutcome.Answered : SoakOutcome.Broken;
    }

    private async Task<SoakOutcome> StreamAsync(string path, object body)
    {
        using HttpRequestMessage request = CompletionRequest.Post(path, body);
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).ConfigureAwait(false);
        string text = await response.Content.ReadAsStringAsync().ConfigureAwait(false);
        if (Refusal(response) is { } refusal) return refusal;
        return text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal) && !text.Contains("\"error\"", StringComparison.Ordinal) ? SoakOutcome.Answered : SoakOutcome.Broken;
    }

    /// <summary>Reads a little of a stream and hangs up.</summary>
    private async Task<SoakOutcome> LeaveAsync(Random random)
    {
        using HttpRequestMessage request = CompletionRequest.Post("/v1/completions", Completion(random, stream: true));
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).ConfigureAwait(false);
        if (Refusal(response) is { } refusal) return refusal;
        using Stream stream = await response.Content.ReadAsStreamAsync().ConfigureAwait(false);
        byte[] buffer = new byte[256];
        for (int reads = random.Next(4); reads > 0; reads--)
            if (await stream.ReadAsync(buffer).ConfigureAwait(false) == 0) break;
        return SoakOutcome.Left;
    }

    /// <summary>Has less patience than an answer takes.</summary>
    private async Task<SoakOutcome> GiveUpAsync(Random random)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(random.Next(1, 60)));
        using HttpRequestMessage request = CompletionRequest.Post("/v1/completions", Completion(random, stream: false));
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request, patience.Token).ConfigureAwait(false);
            return Refusal(response) ?? SoakOutcome.Answered;
        }
        catch (OperationCanceledException)
        {
            return SoakOutcome.Left;
        }
    }

    private static SoakOutcome? Refusal(HttpResponseMessage response) => (int)response.StatusCode switch
    {
        200 => null,
        429 => SoakOutcome.TurnedAway,
        >= 500 => SoakOutcome.ServerError,
        _ => SoakOutcome.Refused,
    };

    private static bool IsAnswer(JsonElement answer) =>
        answer.GetProperty("choices").EnumerateArray().All(choice => choice.GetProperty("finish_reason").GetString() is "stop" or "length")
        && answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > 0;

    /// <summary>An answer that was not cut is an object of the schema.</summary>
    private static bool IsValid(JsonElement answer)
    {
        JsonElement choice = answer.GetProperty("choices")[0];
        if (choice.GetProperty("finish_reason").GetString() != "stop") return true;
        using JsonDocument json = JsonDocument.Parse(Encoding.UTF8.GetBytes(choice.GetProperty("text").GetString()!));
        return json.RootElement.GetProperty("name").ValueKind == JsonValueKind.String && json.RootElement.GetProperty("ok").ValueKind is JsonValueKind.True or JsonValueKind.False;
    }
}
