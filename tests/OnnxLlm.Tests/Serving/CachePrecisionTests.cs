using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using OnnxLlm.Runtime;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>What the server does with a real package, over HTTP, whether its cache holds floats or bytes.</summary>
public sealed class CachePrecisionTests
{
    /// <summary>Sums of a few hundred products run in another order where texts are read in pieces, each rounded by 6e-8.</summary>
    private const double Arithmetic = 2e-5;
    private const string Text = "Once upon a time there was a small server.";

    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Embedding_ReadInPiecesOrWhole_IsTheSame(Weights weights)
    {
        using var package = new ServedPackage(weights: weights);
        await using var pieces = await StartAsync(package, change: engine => engine with { PrefillChunk = 5 });
        await using var whole = await StartAsync(package);
        float[] first = await VectorAsync(pieces), second = await VectorAsync(whole);
        Closeness.AssertClose(first, second, Arithmetic, "embedding");

        static async Task<float[]> VectorAsync(TestServer server) =>
            (await server.PostAsync("/v1/embeddings", new() { ["model"] = "real", ["input"] = Text }))["data"]![0]!["embedding"].Deserialize<float[]>()!;
    }

    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Scores_OverHttp_AreTheSessions(Weights weights)
    {
        using var package = new ServedPackage(weights: weights);
        await using var server = await StartAsync(package);
        JsonObject tensor = new() { ["name"] = "input_ids", ["shape"] = new JsonArray(1, 4), ["datatype"] = "INT64", ["data"] = new JsonArray(3, 5, 7, 11) };
        var answer = await server.PostAsync("/v2/models/real/infer", new() { ["inputs"] = new JsonArray(tensor) });
        using var session = new GenerationSession(ModelPackage.Open(package.Folder), 1, 128, new SessionSettings { Threads = 1 });
        Assert.Equal(session.Score(0, [3, 5, 7, 11], 0).ToArray(), answer["outputs"]![0]!["data"].Deserialize<float[]>());
    }

    /// <summary>Together, in a stream, behind a beginning that is known, and in this process: it is always the same text.</summary>
    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Answers_HoweverTheyAreAskedFor_AreThoseOfOneSlot(Weights weights)
    {
        using var package = new ServedPackage(weights: weights);
        await using var alone = await StartAsync(package, slots: 1, change: engine => engine with { PrefixCacheBytes = 0 });
        await using var server = await StartAsync(package);
        var expected = await server.ChatAsync(Body(3));
        Assert.Equal(TextsOf(await alone.ChatAsync(Body(3))), TextsOf(expected));

        var again = await server.ChatAsync(Body(3));
        Assert.Equal(TextsOf(expected), TextsOf(again));
        Assert.True((int)again["usage"]!["prompt_tokens_details"]!["cached_tokens"]! > 0);

        var streamed = "";
        foreach (var line in (await server.StreamAsync("/v1/chat/completions", Body(1)))[..^1]) streamed += (string?)JsonNode.Parse(line)!["choices"]![0]!["delta"]!["content"];
        Assert.Equal(TextsOf(expected)[0], streamed);

        using var client = new EngineChatClient(server.Service<ModelRegistry>().Find("real")!, () => 1);
        Assert.Equal(streamed, (await client.GetResponseAsync(Text, new ChatOptions { Seed = 5, MaxOutputTokens = 12 })).Text);
    }

    /// <summary>The less urgent answer loses its only slot at its fifth token: the model waits there until the more urgent one stands in line.</summary>
    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Answer_ThatLostItsSlot_IsTheOneItWouldHaveBeen(Weights weights)
    {
        using var package = new ServedPackage(weights: weights);
        TestServer? started = null;
        Task<JsonNode>? urgent = null;
        var steps = int.MinValue;
        await using var server = started = await StartAsync(package, slots: 1, watch: () =>
        {
            if (++steps != 5) return;
            urgent = AskAsync(priority: 0, tokens: 2);
            Assert.True(SpinWait.SpinUntil(() => Model().Current!.Waiting > 0, TimeSpan.FromSeconds(30)), "The urgent request did not come.");
        });

        var expected = TextsOf(await AskAsync(priority: 1, tokens: 60));
        steps = 0;
        Assert.Equal(expected, TextsOf(await AskAsync(priority: 1, tokens: 60)));
        await urgent!;
        Assert.Equal(1, Model().Metrics.Preemptions.Value());

        ModelEntry Model() => started!.Service<ModelRegistry>().Find("real")!;
        Task<JsonNode> AskAsync(int priority, int tokens) => started!.CompleteAsync(new() { ["model"] = "real", ["seed"] = 5, ["max_tokens"] = tokens, ["ignore_eos"] = true, ["priority"] = priority });
    }

    [Fact]
    public async Task Reload_BetweenTheTwo_AnswersAsEachAndNamesEach()
    {
        using ServedPackage floats = new(), bytes = new(weights: Weights.BytesAndCache);
        var current = floats;
        await using var server = await TestServer.StartAsync(more: [new ModelSource("real", () => Load(current), () => "")]);
        var registry = server.Service<ModelRegistry>();
        var answers = new List<JsonNode>();
        foreach (var next in new[] { floats, bytes, floats })
        {
            current = next;
            Assert.Equal("", await registry.ReloadAsync(registry.Find("real")!, default));
            answers.Add(await server.ChatAsync(Body(1)));
            await using var fresh = await StartAsync(next);
            Assert.Equal(TextsOf(await fresh.ChatAsync(Body(1))), TextsOf(answers[^1]));
        }

        string?[] names = [.. answers.Select(answer => (string?)answer["system_fingerprint"])];
        Assert.Equal(names[0], names[2]);
        Assert.NotEqual(names[0], names[1]);
    }

    private static JsonObject Body(int choices) => new()
    {
        ["model"] = "real",
        ["messages"] = TestServer.Messages(Text),
        ["n"] = choices,
        ["seed"] = 5,
        ["max_tokens"] = 12,
    };

    private static string[] TextsOf(JsonNode answer) => [.. answer["choices"]!.AsArray().Select(choice => (string?)choice!["text"] ?? (string)choice["message"]!["content"]!)];

    private static Task<TestServer> StartAsync(ServedPackage package, int slots = 4, Func<EngineSettings, EngineSettings>? change = null, Action? watch = null) =>
        TestServer.StartAsync(change: options => options with { CacheBytes = 0, Engine = change?.Invoke(options.Engine) ?? options.Engine }, more: [new ModelSource("real", () => Load(package, slots, watch), () => "")]);

    private static (ServedModel, IDisposable) Load(ServedPackage package, int slots = 4, Action? watch = null)
    {
        var (model, runner) = LoadedDecoder.Of(new ServerOptions { Model = package.Folder, Name = "real", ChatTemplate = "plain", Slots = slots, Threads = 1 });
        return (model, watch is null ? runner : new WatchedRunner(runner, watch));
    }
}
