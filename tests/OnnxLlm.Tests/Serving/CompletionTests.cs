using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

public sealed class CompletionTests
{
    private const string Text = "Once upon a time there was a small server.";

    [Fact]
    public async Task Answer_Whole_HasAllFieldsOfTheContract()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot(Text));
        var answer = await server.CompleteAsync(new() { ["temperature"] = 0, ["max_tokens"] = 50 });
        Assert.Equal(["id", "object", "created", "model", "system_fingerprint", "choices", "usage"], answer.AsObject().Select(field => field.Key));
        var choice = Assert.Single(answer["choices"]!.AsArray())!;
        Assert.Equal("""{"text":" a time there was a small server.","index":0,"logprobs":null,"finish_reason":"stop"}""", choice.ToJsonString());
        Assert.Equal(TestServer.Tokenizer.Encode(Text).Length, (int)answer["usage"]!["total_tokens"]!);
    }

    [Fact]
    public async Task Prompt_InAnyOfFourForms_MeansTheSame()
    {
        await using var server = await TestServer.StartAsync();
        var ids = TestServer.Tokenizer.Encode("Once upon");
        JsonNode[] prompts = ["Once upon", new JsonArray("Once upon"), Ids(ids), new JsonArray(Ids(ids))];
        var texts = new List<string>();
        foreach (var prompt in prompts) texts.Add(TextOf(await server.CompleteAsync(new() { ["prompt"] = prompt, ["seed"] = 4 })));
        Assert.Single(texts.Distinct());
    }

    [Fact]
    public async Task Prompts_Several_AreAnsweredInOrder()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        var answer = await server.CompleteAsync(new() { ["prompt"] = new JsonArray("a", "d"), ["n"] = 2, ["temperature"] = 0, ["max_tokens"] = 2 });
        Assert.Equal([0, 1, 2, 3], answer["choices"]!.AsArray().Select(choice => (int)choice!["index"]!));
        Assert.Equal(["bc", "bc", "ef", "ef"], answer["choices"]!.AsArray().Select(choice => (string)choice!["text"]!));
        Assert.Equal((2, 8), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["completion_tokens"]!));
    }

    [Theory]
    [InlineData("\"\"")]
    [InlineData("[\"\"]")]
    [InlineData("[[]]")]
    [InlineData("null")]
    public async Task Prompt_Empty_IsTheBeginningOfADocument(string prompt)
    {
        await using var server = await TestServer.StartAsync();
        var answer = await server.CompleteAsync(new() { ["prompt"] = JsonNode.Parse(prompt), ["max_tokens"] = 1 });
        Assert.Equal(1, (int)answer["usage"]!["prompt_tokens"]!);
    }

    [Fact]
    public async Task Prompt_WithTheSpellingOfASpecialToken_IsOrdinaryText()
    {
        await using var server = await TestServer.StartAsync();
        var answer = await server.CompleteAsync(new() { ["prompt"] = "<|endoftext|>", ["max_tokens"] = 1 });
        Assert.True((int)answer["usage"]!["prompt_tokens"]! > 1);
    }

    [Fact]
    public async Task MaxTokens_Absent_IsSixteenOrWhatFits()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 20));
        var sixteen = await server.CompleteAsync(new() { ["prompt"] = Ids([5, 6, 7]), ["ignore_eos"] = true });
        var clipped = await server.CompleteAsync(new() { ["prompt"] = Ids([.. Enumerable.Range(10, 15)]), ["ignore_eos"] = true });
        Assert.Equal((16, 5), ((int)sixteen["usage"]!["completion_tokens"]!, (int)clipped["usage"]!["completion_tokens"]!));
    }

    [Fact]
    public async Task Context_Exceeded_IsRefused()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 20));
        var firm = await server.CompleteAsync(new() { ["prompt"] = Ids([5, 6, 7]), ["max_tokens"] = 18 }, HttpStatusCode.BadRequest);
        var full = await server.CompleteAsync(new() { ["prompt"] = Ids([.. Enumerable.Range(10, 20)]) }, HttpStatusCode.BadRequest);
        Assert.Equal("context_length_exceeded", (string?)firm["error"]!["code"]);
        Assert.Equal("context_length_exceeded", (string?)full["error"]!["code"]);
        await server.CompleteAsync(new() { ["prompt"] = Ids([5, 6, 7]), ["max_tokens"] = 17 });
    }

    [Fact]
    public async Task Stop_AcrossTokens_IsNotShown()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot(Text));
        var answer = await server.CompleteAsync(new() { ["temperature"] = 0, ["max_tokens"] = 50, ["stop"] = new JsonArray("nothing", "e was") });
        Assert.Equal(" a time ther", TextOf(answer));
        Assert.Equal("stop", FinishOf(answer));
    }

    [Fact]
    public async Task Stop_WithinTheLastToken_IsStopNotLength()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        var answer = await server.CompleteAsync(new() { ["prompt"] = "a", ["temperature"] = 0, ["max_tokens"] = 2, ["stop"] = "c" });
        Assert.Equal(("b", "stop"), (TextOf(answer), FinishOf(answer)));
    }

    [Fact]
    public async Task Stop_BegunButNotFinished_IsShownAtTheEnd()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        var answer = await server.CompleteAsync(new() { ["prompt"] = "a", ["temperature"] = 0, ["max_tokens"] = 2, ["stop"] = "cx" });
        Assert.Equal(("bc", "length"), (TextOf(answer), FinishOf(answer)));
    }

    [Fact]
    public async Task StopTokens_EndTheAnswer_AndAreNotPartOfIt()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        var answer = await server.CompleteAsync(new() { ["prompt"] = "a", ["temperature"] = 0, ["stop_token_ids"] = Ids(TestServer.Tokenizer.Encode("d")) });
        Assert.Equal(("bc", "stop"), (TextOf(answer), FinishOf(answer)));
    }

    [Fact]
    public async Task MinTokens_PostponesEndAndStop()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        var answer = await server.CompleteAsync(new() { ["prompt"] = "a", ["temperature"] = 0, ["min_tokens"] = 4, ["max_tokens"] = 9, ["stop"] = new JsonArray("c", "f") });
        Assert.Equal("bcde", TextOf(answer));
    }

    [Fact]
    public async Task IgnoreEos_GoesOnToTheLimit()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("ab"));
        var answer = await server.CompleteAsync(new() { ["prompt"] = "a", ["temperature"] = 0, ["ignore_eos"] = true, ["max_tokens"] = 6, ["skip_special_tokens"] = false });
        Assert.Equal("length", FinishOf(answer));
        Assert.StartsWith("b<|endoftext|>", TextOf(answer), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Echo_ReturnsThePromptToo()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        var answer = await server.CompleteAsync(new() { ["prompt"] = "ab", ["temperature"] = 0, ["max_tokens"] = 2, ["echo"] = true, ["stop"] = "b" });
        Assert.Equal("abcd", TextOf(answer));
        var nothing = await server.CompleteAsync(new() { ["prompt"] = "ab", ["max_tokens"] = 0, ["echo"] = true });
        Assert.Equal(("ab", "length"), (TextOf(nothing), FinishOf(nothing)));
    }

    [Fact]
    public async Task Scoring_AsTheEvaluationHarnessAsks_HasAScorePerToken()
    {
        await using var server = await TestServer.StartAsync();
        var ids = TestServer.Tokenizer.Encode("Once upon a time");
        var answer = await server.CompleteAsync(new() { ["prompt"] = new JsonArray(Ids(ids)), ["temperature"] = 0, ["max_tokens"] = 1, ["logprobs"] = 1, ["seed"] = 1234, ["echo"] = true });
        var scores = answer["choices"]![0]!["logprobs"]!;
        var values = scores["token_logprobs"]!.AsArray();
        Assert.Equal(ids.Length + 1, values.Count);
        Assert.Null(values[0]);
        Assert.All(values.Skip(1), value => Assert.InRange((float)value!, -9999, 0));
        var last = scores["top_logprobs"]!.AsArray()[^1]!.AsObject();
        Assert.Equal(values[^1]!.ToJsonString(), last.Single().Value!.ToJsonString());
        Assert.Equal(TextOf(answer)[..4], string.Concat(scores["tokens"]!.AsArray().Select(token => (string)token!))[..4]);
        Assert.Equal(0, (int)scores["text_offset"]![0]!);
    }

    /// <summary>The harness sends prompts together, sorts the choices by index, and tells by equality of numbers whether a token was the likeliest.</summary>
    [Fact]
    public async Task Scoring_OfSeveralPrompts_NamesTheLikeliestTokenEverywhere()
    {
        await using var server = await TestServer.StartAsync();
        int[][] prompts = [TestServer.Tokenizer.Encode("Once upon a time"), TestServer.Tokenizer.Encode("The server stops.")];
        var answer = await server.CompleteAsync(new() { ["prompt"] = new JsonArray([.. prompts.Select(Ids)]), ["temperature"] = 0, ["max_tokens"] = 1, ["logprobs"] = 1, ["seed"] = 1234, ["echo"] = true });
        var choices = answer["choices"]!.AsArray().OrderBy(choice => (int)choice!["index"]!).ToArray();
        Assert.Equal(2, choices.Length);
        foreach (var (prompt, choice) in prompts.Zip(choices))
        {
            JsonArray values = choice!["logprobs"]!["token_logprobs"]!.AsArray(), best = choice["logprobs"]!["top_logprobs"]!.AsArray();
            Assert.Equal((prompt.Length + 1, prompt.Length + 1), (values.Count, best.Count));
            Assert.Equal((null, null), (values[0], best[0]));
            foreach (var (value, top) in values.Zip(best).Skip(1))
                Assert.True(top!.AsObject().Max(entry => (float)entry.Value!) >= (float)value!, "the likeliest token is among the scores");
            Assert.Contains(best[^1]!.AsObject(), entry => entry.Value!.ToJsonString() == values[^1]!.ToJsonString());
        }
    }

    [Fact]
    public async Task Scores_MoreThanTheServerHolds_AreRefused()
    {
        await using var server = await TestServer.StartAsync();
        var prompts = new JsonArray([.. Enumerable.Range(0, 256).Select(_ => Ids([.. Enumerable.Repeat(5, 100)]))]);
        var refusal = await server.CompleteAsync(new() { ["prompt"] = prompts, ["max_tokens"] = 1, ["logprobs"] = 20, ["echo"] = true }, HttpStatusCode.BadRequest);
        Assert.Equal("logprobs", (string?)refusal["error"]!["param"]);
    }

    [Fact]
    public async Task CachedTokens_OfAnAnswerThatAStopSequenceEnds_AreTold()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot(Text), options => options with { CacheBytes = 0 });
        var first = await AskAsync("nothing");
        var second = await AskAsync("server");
        Assert.Equal(0, Cached(first));
        Assert.Equal((int)first["usage"]!["prompt_tokens"]! - 1, Cached(second));

        Task<JsonNode> AskAsync(string stop) => server.CompleteAsync(new() { ["prompt"] = "0123456789 0123456789 Once upon", ["temperature"] = 0, ["max_tokens"] = 50, ["stop"] = stop });

        static int Cached(JsonNode answer) => (int)answer["usage"]!["prompt_tokens_details"]!["cached_tokens"]!;
    }

    [Fact]
    public async Task Logprobs_OfAStream_CoverEveryToken()
    {
        await using var server = await TestServer.StartAsync();
        var events = await server.StreamAsync("/v1/completions", new() { ["temperature"] = 0, ["max_tokens"] = 20, ["logprobs"] = 3, ["ignore_eos"] = true });
        var tokens = events[..^1].SelectMany(e => JsonNode.Parse(e)!["choices"]![0]!["logprobs"]?["tokens"]?.AsArray() ?? []);
        Assert.Equal(20, tokens.Count());
    }

    [Fact]
    public async Task Concurrent_GreedyAnswers_EqualSoloAnswers()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { CacheBytes = 0 });
        string[] prompts = [.. Enumerable.Range(0, 32).Select(i => $"Once {i} servers {i * i}")];
        var solo = new List<string>();
        foreach (var prompt in prompts) solo.Add(TextOf(await Ask(prompt)));
        server.Metrics.Executions.Add(0, "decode");
        var before = server.Metrics.Executions.Value("decode");
        var together = await Task.WhenAll(prompts.Select(Ask));
        Assert.Equal(solo, together.Select(TextOf));
        Assert.True(server.Metrics.Executions.Value("decode") - before < 32 * 29 / 2, "The answers were not decoded together.");

        Task<JsonNode> Ask(string prompt) => server.CompleteAsync(new() { ["prompt"] = prompt, ["temperature"] = 0, ["max_tokens"] = 30, ["ignore_eos"] = true });
    }

    [Fact]
    public async Task Seed_NotGiven_IsToldAndRepeatsTheAnswer()
    {
        await using var server = await TestServer.StartAsync();
        using var first = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"Once","max_tokens":20}""");
        var seed = long.Parse(Assert.Single(first.Headers.GetValues("x-seed")), System.Globalization.CultureInfo.InvariantCulture);
        var again = await server.CompleteAsync(new() { ["prompt"] = "Once", ["max_tokens"] = 20, ["seed"] = seed });
        Assert.Equal(TextOf(JsonNode.Parse(await first.Content.ReadAsStringAsync())!), TextOf(again));
    }

    private static JsonArray Ids(int[] ids) => [.. ids.Select(id => JsonValue.Create(id))];

    private static string TextOf(JsonNode answer) => (string)answer["choices"]![0]!["text"]!;

    private static string FinishOf(JsonNode answer) => (string)answer["choices"]![0]!["finish_reason"]!;
}
