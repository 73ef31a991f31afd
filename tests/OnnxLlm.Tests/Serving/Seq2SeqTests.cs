using System.Collections.Immutable;
using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Runtime;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Safety;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>A real encoder-decoder of a few thousand weights beside the toy: what comes out is what its session gives.</summary>
public sealed class Seq2SeqTests : IDisposable
{
    private const string Route = "/v1/seq2seq";
    private const int End = TextModels.End, Context = TextModels.Seq2SeqContext;

    private static readonly Tokenizer Tokenizer = TextModels.Tokenizer;

    private readonly TinyPackage _package = TextModels.Seq2Seq();

    [Fact]
    public async Task Answer_IsWhatTheSessionWrites_TokenByToken()
    {
        await using var server = await StartAsync();
        string[] texts = ["It said", "Once upon a time there was a small server."];
        var answer = await WriteAsync(server, new() { ["input"] = new JsonArray([.. texts.Select(text => JsonValue.Create(text))]), ["max_tokens"] = 12 });
        Assert.Equal(("list", "t5"), ((string?)answer["object"], (string?)answer["model"]));
        var (read, written) = (0, 0);
        foreach (var (i, text) in texts.Index())
        {
            int[] tokens = [.. Tokenizer.Encode(text), End], expected = Greedy(tokens, 12);
            Assert.Equal(("text2text-generation", i), ((string?)answer["data"]![i]!["object"], (int)answer["data"]![i]!["index"]!));
            Assert.Equal((Tokenizer.Decode(expected), expected.Length < 12 ? "stop" : "length"), ((string?)answer["data"]![i]!["text"], (string?)answer["data"]![i]!["finish_reason"]));
            (read, written) = (read + tokens.Length, written + expected.Length);
        }

        Assert.Equal((read, written, read + written), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["completion_tokens"]!, (int)answer["usage"]!["total_tokens"]!));
    }

    /// <summary>A bias makes the end the likeliest token as soon as it may be chosen.</summary>
    [Fact]
    public async Task EndToken_StopsAnAnswer_AndIsNoPartOfIt()
    {
        await using var server = await StartAsync();
        var answer = await WriteAsync(server, new() { ["input"] = "It said", ["min_tokens"] = 3, ["logit_bias"] = new JsonObject { [$"{End}"] = 100 } });
        Assert.Equal(("stop", 3), ((string?)answer["data"]![0]!["finish_reason"], (int)answer["usage"]!["completion_tokens"]!));
        Assert.Equal(Tokenizer.Decode(Greedy([.. Tokenizer.Encode("It said"), End], 3)), (string?)answer["data"]![0]!["text"]);
    }

    [Fact]
    public async Task StopSequence_EndsAnAnswerBeforeIt()
    {
        await using var server = await StartAsync();
        JsonObject Body() => new() { ["input"] = "It said", ["max_tokens"] = 20, ["temperature"] = 1, ["seed"] = 3, ["logit_bias"] = new JsonObject { [$"{End}"] = -100 } };
        var whole = (string)(await WriteAsync(server, Body()))["data"]![0]!["text"]!;
        var stop = whole.Substring(whole.Length / 2, 2);
        var body = Body();
        body["stop"] = stop;
        var cut = (await WriteAsync(server, body))["data"]![0]!;
        Assert.Equal((whole[..whole.IndexOf(stop, StringComparison.Ordinal)], "stop"), ((string?)cut["text"], (string?)cut["finish_reason"]));
    }

    [Fact]
    public async Task Seed_RepeatsASampledAnswer_AndEveryAnswerTellsIts()
    {
        await using var server = await StartAsync();
        const string Body = """{"model":"t5","input":"It said","temperature":1,"max_tokens":20}""";
        using var first = await server.SendAsync(Route, Body);
        var seed = first.Headers.GetValues("x-seed").Single();
        var again = await WriteAsync(server, new() { ["input"] = "It said", ["temperature"] = 1, ["max_tokens"] = 20, ["seed"] = long.Parse(seed, System.Globalization.CultureInfo.InvariantCulture) });
        var text = (string?)JsonNode.Parse(await first.Content.ReadAsStringAsync())!["data"]![0]!["text"];
        Assert.Equal(text, (string?)again["data"]![0]!["text"]);
        var others = await Task.WhenAll(Enumerable.Range(0, 5).Select(async other => (string?)(await WriteAsync(server, new() { ["input"] = "It said", ["temperature"] = 1, ["max_tokens"] = 20, ["seed"] = other }))["data"]![0]!["text"]));
        Assert.True(others.Distinct().Count() > 1);
    }

    /// <summary>Texts of different lengths are read in one run.</summary>
    [Fact]
    public async Task Texts_OfOneRequest_AreReadTogether_AndAnsweredAsAlone()
    {
        await using var server = await StartAsync();
        var ready = Metrics(server).Executions.Value("encode");
        string[] texts = ["It said", "Once upon a time there was a small server.", "and"];
        var together = await WriteAsync(server, new() { ["input"] = new JsonArray([.. texts.Select(text => JsonValue.Create(text))]), ["max_tokens"] = 25 });
        Assert.Equal(1, Metrics(server).Executions.Value("encode") - ready);
        foreach (var (i, text) in texts.Index())
            Assert.Equal((string?)(await WriteAsync(server, new() { ["input"] = text, ["max_tokens"] = 25 }))["data"]![0]!["text"], (string?)together["data"]![i]!["text"]);
    }

    /// <summary>Greedy and sampled ones of different lengths come and go between each other's steps.</summary>
    [Fact]
    public async Task Requests_ThatArriveTogether_ShareSteps_AndAreAnsweredAsAlone()
    {
        await using var server = await StartAsync();
        JsonObject Body(int i) => new()
        {
            ["input"] = string.Concat(Enumerable.Repeat("it ", 1 + i % 9)) + "said",
            ["max_tokens"] = 1 + 7 * i % 40,
            ["temperature"] = i % 2,
            ["seed"] = i,
        };
        var alone = new List<string?>();
        for (var i = 0; i < 40; i++) alone.Add((string?)(await WriteAsync(server, Body(i)))["data"]![0]!["text"]);
        var before = Metrics(server).Executions.Value("decode");
        var together = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => WriteAsync(server, Body(i))));
        Assert.InRange(Metrics(server).Executions.Value("decode") - before, 1, Enumerable.Range(0, 40).Sum(i => 1 + 7 * i % 40) - 1);
        foreach (var (i, answer) in together.Index()) Assert.Equal(alone[i], (string?)answer["data"]![0]!["text"]);
    }

    [Theory]
    [InlineData("{}", "input", "invalid_value", "'input' must be")]
    [InlineData("""{"input":""}""", "input", "empty_input", "is empty")]
    [InlineData("""{"input":["a",""]}""", "input", "empty_input", "is empty")]
    [InlineData("""{"input":"[LONG]"}""", null, "context_length_exceeded", "the model reads at most 600")]
    [InlineData("""{"input":"a","max_tokens":0}""", "max_tokens", "invalid_value", "at least 1")]
    [InlineData("""{"input":"a","max_tokens":601}""", null, "context_length_exceeded", "the model writes at most 600")]
    [InlineData("""{"input":"a","temperature":-1}""", "temperature", "invalid_value", "from 0 to 2")]
    [InlineData("""{"input":"a","top_p":"x"}""", "top_p", "invalid_value", "from 0 to 1")]
    [InlineData("""{"input":"a","min_tokens":5,"max_tokens":4}""", "min_tokens", "invalid_value", "more than the answer may have")]
    [InlineData("""{"input":"a","stream":true}""", "stream", "unsupported_parameter", "come whole")]
    [InlineData("""{"input":"a","n":2}""", "n", "unsupported_parameter", "one text for each")]
    [InlineData("""{"input":"a","response_format":{"type":"json_object"}}""", "response_format", "unsupported_parameter", "not constrained")]
    public async Task Request_ThatMakesNoSense_IsRefusedInWords(string json, string? param, string code, string told)
    {
        await using var server = await StartAsync();
        var body = (JsonObject)JsonNode.Parse(json.Replace("[LONG]", string.Concat(Enumerable.Repeat("zq ", 400)), StringComparison.Ordinal))!;
        var error = (await WriteAsync(server, body, HttpStatusCode.BadRequest))["error"]!;
        Assert.Equal((param, code, "invalid_request_error"), ((string?)error["param"], (string?)error["code"], (string?)error["type"]));
        Assert.Contains(told, (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Models_OfOtherFamilies_AreRefusedBothWays()
    {
        await using var server = await StartAsync();
        var decoder = (await server.PostAsync(Route, new() { ["model"] = TestServer.ModelId, ["input"] = "a" }, HttpStatusCode.BadRequest))["error"]!;
        Assert.Equal(("model", "unsupported_model"), ((string?)decoder["param"], (string?)decoder["code"]));
        Assert.Contains("is a decoder, which writes no text for another; it continues texts.", (string)decoder["message"]!, StringComparison.Ordinal);

        (string Path, JsonObject Body)[] others =
        [
            ("/v1/completions", new() { ["prompt"] = "a" }), ("/v1/chat/completions", new() { ["messages"] = TestServer.Messages("a") }),
            ("/v1/responses", new() { ["input"] = "a" }), ("/v1/embeddings", new() { ["input"] = "a" }), ("/v1/fill-mask", new() { ["input"] = "a" }), ("/v1/classify", new() { ["input"] = "a" }),
        ];
        foreach (var (path, body) in others)
        {
            body["model"] = "t5";
            var error = (await server.PostAsync(path, body, HttpStatusCode.BadRequest))["error"]!;
            Assert.Equal(("model", "unsupported_model"), ((string?)error["param"], (string?)error["code"]));
            Assert.Contains("is an encoder-decoder, which", (string)error["message"]!, StringComparison.Ordinal);
            Assert.Contains("it writes a text for another, at /v1/seq2seq.", (string)error["message"]!, StringComparison.Ordinal);
        }

        using var metadata = await server.Http.GetAsync("/v2/models/t5");
        Assert.Equal(HttpStatusCode.BadRequest, metadata.StatusCode);
    }

    [Fact]
    public async Task Metrics_CountWhatWasReadAndWritten_UnderTheModelsName()
    {
        await using var server = await StartAsync();
        await WriteAsync(server, new() { ["input"] = new JsonArray("It said", "was"), ["max_tokens"] = 5, ["ignore_eos"] = true });
        long tokens = Tokenizer.Encode("It said").Length + Tokenizer.Encode("was").Length + 2;
        var text = await server.Http.GetStringAsync("/metrics");
        Assert.Contains($"onnxllm_prompt_tokens_total{{model_name=\"t5\"}} {tokens}\n", text, StringComparison.Ordinal);
        Assert.Contains("onnxllm_generation_tokens_total{model_name=\"t5\"} 10\n", text, StringComparison.Ordinal);
        Assert.Contains("onnxllm_e2e_request_latency_seconds_count{model_name=\"t5\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("onnxllm_requests_total{model_name=\"t5\",finished_reason=\"length\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("onnxllm_prefix_cache_queries_total{model_name=\"t5\"} 0\n", text, StringComparison.Ordinal);
        Assert.Contains("route=\"/v1/seq2seq\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_ThatTakesTooLong_IsGivenUp_AndSoIsItsWork()
    {
        await using var server = await StartAsync(options => options with { RequestTimeout = TimeSpan.FromMilliseconds(20) });
        var error = await WriteAsync(server, new() { ["input"] = "It said", ["max_tokens"] = Context, ["ignore_eos"] = true }, HttpStatusCode.GatewayTimeout);
        Assert.Equal("request_timeout", (string?)error["error"]!["code"]);
        await IdleAsync(server);
        Assert.InRange(Metrics(server).GenerationTokens.Value(), 0, Context - 1);
    }

    [Fact]
    public async Task Client_ThatLeaves_StopsItsAnswer()
    {
        await using var server = await StartAsync();
        using var leaves = new CancellationTokenSource();
        var body = new JsonObject { ["model"] = "t5", ["input"] = "It said", ["max_tokens"] = Context, ["ignore_eos"] = true };
        using var content = new StringContent(body.ToJsonString(), System.Text.Encoding.UTF8, "application/json");
        var answer = server.Http.PostAsync(Route, content, leaves.Token);
        await UntilAsync(() => Metrics(server).GenerationTokens.Value() > 0);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        await IdleAsync(server);
        Assert.InRange(Metrics(server).GenerationTokens.Value(), 1, Context - 1);
        await UntilAsync(() => Metrics(server).Requests.Value("abort") == 1);
        await WriteAsync(server, new() { ["input"] = "it", ["max_tokens"] = 2 });
    }

    [Fact]
    public async Task Filter_OfTheServer_LooksAtTextsThatAreRead()
    {
        await using var server = await StartAsync(guardrails: [new WordGuardrail()]);
        Assert.Equal("content_filter", (string?)(await WriteAsync(server, new() { ["input"] = new JsonArray("fine", "a secret") }, HttpStatusCode.BadRequest))["error"]!["code"]);
        await WriteAsync(server, new() { ["input"] = "fine", ["max_tokens"] = 2 });
    }

    [Fact]
    public void Package_OfAnEncoderDecoder_IsNoChat() =>
        Assert.EndsWith("is an encoder-decoder, which continues no text.", Assert.Throws<ServingException>(() => PackagedModel.OpenChat(_package.Folder, threads: 1).Dispose()).Message, StringComparison.Ordinal);

    [Fact]
    public void Length_BeyondTheModels_IsRefused() => Assert.Equal(
        "The length of a text must be 1 to 600, the model's limit; got 601.", Assert.Throws<ServingException>(() => ModelLoader.Load(new ServerOptions { Model = _package.Folder, MaxLength = 601 })).Message);

    public void Dispose() => _package.Dispose();

    /// <summary>Finds a word in what is read.</summary>
    private sealed class WordGuardrail : IGuardrail
    {
        public IReadOnlyList<string> Categories => ["secrets"];

        public IEnumerable<Finding> Inspect(string text, TextSide side) => side == TextSide.Prompt && text.Contains("secret", StringComparison.Ordinal) ? [new Finding(0, 1, "secrets", null)] : [];
    }

    private Task<TestServer> StartAsync(Func<ServerOptions, ServerOptions>? change = null, IReadOnlyList<IGuardrail>? guardrails = null) => TestServer.StartAsync(
        change: change, more: [TextModels.Source("t5", _package)], guardrails: guardrails);

    private static Task<JsonNode> WriteAsync(TestServer server, JsonObject body, HttpStatusCode expected = HttpStatusCode.OK)
    {
        body["model"] = "t5";
        return server.PostAsync(Route, body, expected);
    }

    private static ServingMetrics Metrics(TestServer server) => server.Service<ModelRegistry>().Find("t5")!.Metrics;

    /// <summary>Nothing is worked on any more.</summary>
    private static Task IdleAsync(TestServer server) => UntilAsync(() => server.Service<ModelRegistry>().Find("t5")!.Current is { Running: 0, Waiting: 0 });

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var patience = new CancellationTokenSource(TestServer.Patience);
        while (!holds()) await Task.Delay(5, patience.Token);
    }

    /// <summary>The likeliest token at each step, to the end or to so many. Of the table's last four rows, which no token has, none is chosen.</summary>
    private int[] Greedy(int[] text, int count)
    {
        using var session = new EncoderDecoderSession(ModelPackage.Open(_package.Folder), new SessionSettings { Threads = 1 });
        session.Add([text.ToImmutableArray()]);
        var written = new List<int>();
        while (written.Count < count)
        {
            float[] scores = session.Step([written.Count == 0 ? session.StartToken : written[^1]])[..Tokenizer.VocabularySize].ToArray();
            int best = Array.IndexOf(scores, scores.Max());
            if (best == End) break;
            written.Add(best);
        }

        return [.. written];
    }
}
