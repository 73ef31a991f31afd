using System.ClientModel;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using OnnxLlm.Tests.Support;
using OpenAI;

namespace OnnxLlm.Tests.Serving;

/// <summary>The toy's hidden states are a token and its position, so that its embeddings can be worked out by hand.</summary>
public sealed class EmbeddingTests
{
    [Theory]
    [InlineData(128)]
    [InlineData(1)]
    public async Task Embedding_IsTheMeanHiddenStateOfLengthOne(int chunk)
    {
        await using var server = await TestServer.StartAsync(change: options => options with { Engine = options.Engine with { PrefillChunk = chunk } });
        var answer = await EmbedAsync(server, new() { ["input"] = JsonNode.Parse("[[3, 5], [7, 7, 7]]") });
        Assert.Equal(("list", TestServer.ModelId, 5), ((string?)answer["object"], (string?)answer["model"], (int)answer["usage"]!["total_tokens"]!));
        Assert.Equal([0, 1], answer["data"]!.AsArray().Select(item => (int)item!["index"]!));
        AssertUnit([8, 1], Vector(answer, 0));
        AssertUnit([21, 3], Vector(answer, 1));
    }

    [Fact]
    public async Task Base64_HoldsTheSameNumbers()
    {
        await using var server = await TestServer.StartAsync();
        var numbers = Vector(await EmbedAsync(server, new() { ["input"] = "Once upon a time" }), 0);
        var text = (string)(await EmbedAsync(server, new() { ["input"] = "Once upon a time", ["encoding_format"] = "base64" }))["data"]![0]!["embedding"]!;
        Assert.Equal(numbers, MemoryMarshal.Cast<byte, float>(Convert.FromBase64String(text)).ToArray());
    }

    [Fact]
    public async Task Dimensions_Fewer_AreOfLengthOneAmongThemselves()
    {
        await using var server = await TestServer.StartAsync();
        var answer = await EmbedAsync(server, new() { ["input"] = JsonNode.Parse("[3, 5]"), ["dimensions"] = 1 });
        Assert.Equal([1f], Vector(answer, 0));
    }

    [Theory]
    [InlineData("dimensions", "3")]
    [InlineData("dimensions", "0")]
    [InlineData("encoding_format", "\"hex\"")]
    [InlineData("input", "null")]
    [InlineData("input", "7")]
    public async Task Field_ThatMakesNoSense_IsRefusedByName(string field, string value)
    {
        await using var server = await TestServer.StartAsync();
        JsonObject body = new() { ["input"] = "text" };
        body[field] = JsonNode.Parse(value);
        Assert.Equal(field, (string?)(await EmbedAsync(server, body, HttpStatusCode.BadRequest))["error"]!["param"]);
    }

    [Theory]
    [InlineData("float")]
    [InlineData("base64")]
    public async Task HiddenStates_ThatAreNoNumbers_AreAnErrorOfTheServer(string format)
    {
        await using var server = await TestServer.StartAsync();
        server.Model.HiddenScale = float.NaN;
        Assert.Equal("internal_error", (string?)(await EmbedAsync(server, new() { ["input"] = "text", ["encoding_format"] = format }, HttpStatusCode.InternalServerError))["error"]!["code"]);
    }

    [Fact]
    public async Task Package_WithoutHiddenStates_IsRefused()
    {
        await using var server = await TestServer.StartAsync(new NoiseModel(vocabularySize: TestServer.Tokenizer.VocabularySize) { GivesAll = false });
        Assert.Equal("model", (string?)(await EmbedAsync(server, new() { ["input"] = "text" }, HttpStatusCode.BadRequest))["error"]!["param"]);
    }

    [Fact]
    public async Task Sdk_OfOpenAi_ReadsTheVector()
    {
        await using var server = await TestServer.StartAsync();
        var client = new OpenAIClient(new ApiKeyCredential("any"), new OpenAIClientOptions { Endpoint = new Uri(server.Address, "/v1") }).GetEmbeddingClient(TestServer.ModelId);
        var embedding = (await client.GenerateEmbeddingAsync("Once upon a time")).Value;
        Assert.Equal(1, embedding.ToFloats().ToArray().Sum(value => value * value), 1e-6);
        var several = (await client.GenerateEmbeddingsAsync(["one", "two"])).Value;
        Assert.Equal([0, 1], several.Select(item => item.Index));
        Assert.Equal(several.Usage.InputTokenCount, several.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task Text_WithASalt_IsSharedWithThatSaltOnly()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { CacheBytes = 0 });
        var ids = JsonNode.Parse($"[{string.Join(',', Enumerable.Range(10, 30))}]")!;
        await EmbedAsync(server, new() { ["input"] = ids.DeepClone(), ["cache_salt"] = "mine" });
        Assert.Equal(0, await CachedAsync(null));
        Assert.Equal(29, await CachedAsync("mine"));

        async Task<int> CachedAsync(string? salt) =>
            (int)(await server.CompleteAsync(new() { ["prompt"] = ids.DeepClone(), ["max_tokens"] = 1, ["cache_salt"] = salt }))["usage"]!["prompt_tokens_details"]!["cached_tokens"]!;
    }

    private static Task<JsonNode> EmbedAsync(TestServer server, JsonObject body, HttpStatusCode expected = HttpStatusCode.OK)
    {
        body["model"] = TestServer.ModelId;
        return server.PostAsync("/v1/embeddings", body, expected);
    }

    private static float[] Vector(JsonNode answer, int index) => [.. answer["data"]![index]!["embedding"]!.AsArray().Select(value => (float)value!)];

    private static void AssertUnit(double[] direction, float[] vector)
    {
        var length = Math.Sqrt(direction.Sum(value => value * value));
        Assert.All(direction.Zip(vector), pair => Assert.Equal(pair.First / length, pair.Second, 1e-6));
    }
}
