using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using OnnxLlm.Serving;
using OnnxLlm.Tests.Runtime;

namespace OnnxLlm.Tests.Serving;

/// <summary>What the routes that read texts whole have in common. Each has a model of the route's name.</summary>
public sealed class TextRouteTests : IDisposable
{
    private const string Text = "It said <mask>";

    private static readonly string[] Names = ["fill-mask", "classify", "seq2seq"];

    private readonly TinyPackage[] _packages = [TextModels.Encoder(), TextModels.Classifier("bad", "good"), TextModels.Seq2Seq()];

    public static TheoryData<string> Routes => [.. Names];

    public static TheoryData<string, string> Misfits
    {
        get
        {
            var misfits = new TheoryData<string, string>();
            foreach (var route in Names)
                foreach (var input in new[] { "null", "[]", "7", $"[\"{Text}\",7]" }) misfits.Add(route, input);
            return misfits;
        }
    }

    [Theory]
    [MemberData(nameof(Misfits))]
    public async Task Input_ThatIsNoText_IsRefused(string route, string input)
    {
        await using var server = await StartAsync();
        var error = (await AskAsync(server, route, JsonNode.Parse(input), HttpStatusCode.BadRequest))["error"]!;
        Assert.Equal(("input", "invalid_value", "invalid_request_error"), ((string?)error["param"], (string?)error["code"], (string?)error["type"]));
        Assert.Contains("'input' must be", (string)error["message"]!, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Routes))]
    public async Task Model_ThatIsUnknownOrLeftOut_IsRefused(string route)
    {
        await using var server = await StartAsync();
        Assert.Equal("model_not_found", (string?)(await server.PostAsync($"/v1/{route}", new() { ["model"] = "nobody", ["input"] = Text }, HttpStatusCode.NotFound))["error"]!["code"]);
        Assert.Equal("model", (string?)(await server.PostAsync($"/v1/{route}", new() { ["input"] = Text }, HttpStatusCode.BadRequest))["error"]!["param"]);
    }

    [Fact]
    public async Task Models_ListTheirTasks_AreReady_AndTheirRoutesAreDescribed()
    {
        await using var server = await StartAsync();
        var models = JsonNode.Parse(await server.Http.GetStringAsync("/v1/models"))!["data"]!.AsArray();
        Assert.Equal(
            [(TestServer.ModelId, "text-generation"), ("fill-mask", "fill-mask"), ("classify", "text-classification"), ("seq2seq", "text2text-generation")],
            models.Select(model => ((string?)model!["id"], (string?)model["task"])));
        foreach (var path in Names.Select(name => $"/v2/models/{name}/ready").Concat(["/health/ready", "/health/live"]))
            using (var response = await server.Http.GetAsync(path)) Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var paths = JsonNode.Parse(await server.Http.GetStringAsync("/openapi.json"))!["paths"]!;
        Assert.All(Names, name => Assert.NotNull(paths[$"/v1/{name}"]!["post"]!["requestBody"]));
    }

    [Theory]
    [MemberData(nameof(Routes))]
    public async Task Key_IsAskedFor_AndItsQuotaIsCharged(string route)
    {
        var keys = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(keys, $$"""{"keys":[{"name":"ci","sha256":"{{Convert.ToHexStringLower(SHA256.HashData("secret"u8))}}","total_tokens":3}]}""");
            await using var server = await StartAsync(options => options with { KeyFile = keys });
            var body = Body(route, Text).ToJsonString();
            using (var without = await server.SendAsync($"/v1/{route}", body)) Assert.Equal(HttpStatusCode.Unauthorized, without.StatusCode);
            using (var with = await server.SendAsync($"/v1/{route}", body, ("Authorization", "Bearer secret"))) Assert.Equal(HttpStatusCode.OK, with.StatusCode);
            using var spent = await server.SendAsync($"/v1/{route}", body, ("Authorization", "Bearer secret"));
            Assert.Equal(HttpStatusCode.TooManyRequests, spent.StatusCode);
        }
        finally
        {
            File.Delete(keys);
        }
    }

    [Theory]
    [MemberData(nameof(Routes))]
    public async Task Queue_ThatIsTooShortForARequest_IsFull(string route)
    {
        await using var server = await StartAsync(options => options with { Engine = options.Engine with { QueueLimit = 2 } });
        Assert.Equal("queue_full", (string?)(await AskAsync(server, route, new JsonArray(Text, Text, Text), HttpStatusCode.TooManyRequests))["error"]!["code"]);
        await AskAsync(server, route, new JsonArray(Text, Text));
    }

    /// <summary>Whatever comes is answered or refused, and the model goes on.</summary>
    [Theory]
    [MemberData(nameof(Routes))]
    public async Task Fuzz_OfBodies_NeverBreaksTheServer(string route)
    {
        await using var server = await StartAsync();
        var random = new Random(5);
        string[] pieces = ["<mask>", "<|pad|>", " ", "it", "<|endoftext|>", "\ud83d", "é", "null", "[", "\u0000", "zq zq zq zq zq zq"];
        for (var i = 0; i < 400; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(8)).Select(_ => pieces[random.Next(pieces.Length)]));
            var input = random.Next(4) switch { 0 => $"[\"{text}\",\"<mask>\"]", 1 => $"[{i},\"{text}\"]", _ => $"\"{text}\"" };
            using var response = await server.SendAsync($"/v1/{route}", $"{{\"model\":\"{route}\",\"input\":{input},\"top_k\":{random.Next(-1, 6)},\"max_tokens\":{random.Next(-1, 6)},\"temperature\":{random.Next(-1, 3)}}}");
            Assert.True((int)response.StatusCode is 200 or 400, $"{response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
        }

        await AskAsync(server, route, Text);
    }

    public void Dispose()
    {
        foreach (var package in _packages) package.Dispose();
    }

    private Task<TestServer> StartAsync(Func<ServerOptions, ServerOptions>? change = null) =>
        TestServer.StartAsync(change: change, more: [.. Names.Zip(_packages, TextModels.Source)]);

    private static JsonObject Body(string route, JsonNode? input) => route == "seq2seq"
        ? new() { ["model"] = route, ["input"] = input, ["max_tokens"] = 3 }
        : new() { ["model"] = route, ["input"] = input };

    private static Task<JsonNode> AskAsync(TestServer server, string route, JsonNode? input, HttpStatusCode expected = HttpStatusCode.OK) => server.PostAsync($"/v1/{route}", Body(route, input), expected);
}
