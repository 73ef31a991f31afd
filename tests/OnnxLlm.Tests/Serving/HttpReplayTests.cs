using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

/// <summary>A thousand requests of all kinds to the real program over HTTP, as they come one by one and as many at a time. A server of its own for each, and no cache of answers.</summary>
public sealed class HttpReplayTests
{
    private const int Requests = 1000;

    [Fact]
    public async Task Requests_Replayed_AnswerTheSameAtAnyConcurrency()
    {
        using var package = new ServedPackage(weights: Weights.Bytes, width: 256);
        var alone = await ReplayAsync(package.Folder, clients: 1);
        foreach (var clients in new[] { 8, 32 })
        {
            var together = await ReplayAsync(package.Folder, clients);
            for (var i = 0; i < Requests; i++) Assert.True(alone[i] == together[i], $"Request {i} with {clients} clients: {together[i]} instead of {alone[i]}");
        }
    }

    private static async Task<string[]> ReplayAsync(string package, int clients)
    {
        using var server = new ServerProcess("--model", package, "--urls", "http://127.0.0.1:0", "--slots", "32", "--max-length", "128", "--cache-mb", "0", "--threads", "2");
        using var http = new HttpClient { BaseAddress = server.Address(), Timeout = ServerProcess.Patience };
        server.IgnoreLog();
        var model = Path.GetFileName(package);
        var answers = new string[Requests];
        await Parallel.ForAsync(0, Requests, new ParallelOptions { MaxDegreeOfParallelism = clients }, async (i, end) => answers[i] = await AskAsync(http, Request(model, i), end));
        return answers;
    }

    /// <summary>Greedy and sampled ones, of one piece and streamed, with beginnings in common.</summary>
    private static JsonObject Request(string model, int number)
    {
        var random = new Random(number);
        var body = new JsonObject
        {
            ["model"] = model,
            ["prompt"] = new JsonArray([.. Enumerable.Range(0, 1 + random.Next(40)).Select(k => (JsonNode)(k < 20 ? k + number % 3 : random.Next(100)))]),
            ["max_tokens"] = number % 5 == 0 ? 1 + random.Next(12) : 20 + random.Next(24),
            ["temperature"] = number % 4 == 0 ? 0 : 0.8,
            ["stream"] = number % 3 == 0,
        };
        if (number % 4 > 0) body["seed"] = number;
        if (number % 4 == 1) body["top_p"] = 0.9;
        if (number % 2 == 1) body["frequency_penalty"] = 1;
        if (number % 7 == 0) body["n"] = 2;
        return body;
    }

    /// <summary>The texts of all choices, and why they ended.</summary>
    private static async Task<string> AskAsync(HttpClient http, JsonObject request, CancellationToken end)
    {
        using var response = await http.PostAsJsonAsync("/v1/completions", request, end);
        var body = await response.Content.ReadAsStringAsync(end);
        Assert.True(response.IsSuccessStatusCode, body);
        var parts = (bool)request["stream"]! ? body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).SkipLast(1).Select(line => line["data: ".Length..]) : [body];
        var choices = parts.SelectMany(part => JsonNode.Parse(part)!["choices"]!.AsArray()).ToLookup(choice => (int)choice!["index"]!);
        Assert.Equal((int?)request["n"] ?? 1, choices.Count);
        return string.Join(" | ", choices.OrderBy(choice => choice.Key).Select(choice => string.Concat(choice.Select(piece => (string?)piece!["text"])) + " " + choice.Last()!["finish_reason"]));
    }
}
