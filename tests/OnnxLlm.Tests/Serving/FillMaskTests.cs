using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Runtime;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Safety;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>A real encoder of a few thousand weights beside the toy: what comes out is what its session gives.</summary>
public sealed class FillMaskTests : IDisposable
{
    /// <summary>A few hundred roundings of 6e-8: products over other numbers of rows may add up in another order.</summary>
    private const double Arithmetic = 2e-5;

    private const string Route = "/v1/fill-mask";

    private static readonly Tokenizer Tokenizer = TextModels.Tokenizer;

    private readonly TinyPackage _package = TextModels.Encoder();

    [Fact]
    public async Task Answer_TellsTheLikeliestTokensOfEveryMask()
    {
        await using var server = await StartAsync();
        var answer = await FillAsync(server, new() { ["input"] = "It <mask> what it <mask> read.", ["top_k"] = 3 });
        Assert.Equal(("list", "bert", "fill-mask", 0), ((string?)answer["object"], (string?)answer["model"], (string?)answer["data"]![0]!["object"], (int)answer["data"]![0]!["index"]!));

        int[] tokens = Tokenizer.EncodeMasked("It <mask> what it <mask> read.");
        Assert.Equal((tokens.Length, tokens.Length), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["total_tokens"]!));
        var masks = answer["data"]![0]!["masks"]!.AsArray();
        var places = tokens.Index().Where(token => token.Item == Tokenizer.Special.Mask).Select(token => token.Index).ToArray();
        Assert.Equal(2, masks.Count);
        float[] scores = Scores(tokens, places);
        foreach (var (i, place) in places.Index())
        {
            // The four rows of the table that no token has are never told.
            float[] row = scores.AsSpan(i * TextModels.Rows, Tokenizer.VocabularySize).ToArray();
            double sum = row.Sum(score => Math.Exp(score));
            int[] best = [.. Enumerable.Range(0, row.Length).OrderByDescending(token => row[token]).Take(3)];
            Assert.Equal(best, masks[i]!.AsArray().Select(candidate => (int)candidate!["token"]!));
            foreach (var (token, candidate) in best.Zip(masks[i]!.AsArray()))
            {
                Assert.Equal(Math.Exp(row[token]) / sum, (double)candidate!["score"]!, Arithmetic);
                Assert.Equal(Tokenizer.Decode([token], skipSpecial: false), (string?)candidate["token_str"]);
                int[] filled = [.. tokens];
                filled[place] = token;
                Assert.Equal(Tokenizer.Decode(filled, skipSpecial: false), (string?)candidate["sequence"]);
            }
        }
    }

    [Fact]
    public async Task TopK_LeftOut_IsFive_AndTheProbabilitiesOfAllAddUpToOne()
    {
        await using var server = await StartAsync(options => options with { Limits = options.Limits with { Candidates = 1000 } });
        Assert.Equal(5, (await FillAsync(server, new() { ["input"] = "a <mask>" }))["data"]![0]!["masks"]![0]!.AsArray().Count);
        var all = (await FillAsync(server, new() { ["input"] = "a <mask>", ["top_k"] = 1000 }))["data"]![0]!["masks"]![0]!.AsArray();
        Assert.Equal(Tokenizer.VocabularySize, all.Count);
        Assert.Equal(1, all.Sum(candidate => (double)candidate!["score"]!), 1e-9);
    }

    /// <summary>Texts of different lengths go through the model in one run.</summary>
    [Fact]
    public async Task Texts_OfOneRequest_AreReadTogether_AndAnsweredAsAlone()
    {
        await using var server = await StartAsync();
        var ready = Metrics(server).Executions.Value("encode");
        string[] texts = ["It <mask>", "Once upon a time there was a <mask> server.", "<mask> and <mask>"];
        var together = await FillAsync(server, new() { ["input"] = new JsonArray([.. texts.Select(text => JsonValue.Create(text))]) });
        Assert.Equal(1, Metrics(server).Executions.Value("encode") - ready);
        foreach (var (i, text) in texts.Index())
        {
            var alone = await FillAsync(server, new() { ["input"] = text });
            Assert.Equal(i, (int)together["data"]![i]!["index"]!);
            AssertEqual(alone["data"]![0]!["masks"]!, together["data"]![i]!["masks"]!);
        }
    }

    [Fact]
    public async Task Requests_ThatArriveTogether_ShareARun_AndAreAnsweredAsAlone()
    {
        await using var server = await StartAsync(options => options with { Slots = 64, Engine = options.Engine with { QueueLimit = 400 } });
        string[] texts = [.. Enumerable.Range(1, 40).Select(i => string.Concat(Enumerable.Repeat("it ", i % 9)) + "said <mask> once")];
        JsonNode[] alone = await Task.WhenAll(texts.Select(async text => (await FillAsync(server, new() { ["input"] = text }))["data"]![0]!["masks"]!));
        var before = Metrics(server).Executions.Value("encode");
        var more = await Task.WhenAll(Enumerable.Range(0, 10).SelectMany(_ => texts).Select(text => FillAsync(server, new() { ["input"] = text })));
        Assert.InRange(Metrics(server).Executions.Value("encode") - before, 1, more.Length - 1);
        foreach (var (i, answer) in more.Index()) AssertEqual(alone[i % texts.Length], answer["data"]![0]!["masks"]!);
    }

    [Theory]
    [InlineData("{}", "input", "invalid_value", "'input' must be")]
    [InlineData("""{"input":"no place"}""", "input", "no_mask_token", "write <mask> there")]
    [InlineData("""{"input":["a <mask>","no place"]}""", "input", "no_mask_token", "write <mask> there")]
    [InlineData("""{"input":""}""", "input", "no_mask_token", "write <mask> there")]
    [InlineData("""{"input":"<mask> [LONG]"}""", null, "context_length_exceeded", "the model reads at most 32")]
    [InlineData("""{"input":"<mask>","top_k":0}""", "top_k", "invalid_value", "from 1 to 100")]
    [InlineData("""{"input":"<mask>","top_k":101}""", "top_k", "invalid_value", "from 1 to 100")]
    public async Task Request_ThatMakesNoSense_IsRefusedInWords(string json, string? param, string code, string told)
    {
        await using var server = await StartAsync();
        var body = (JsonObject)JsonNode.Parse(json.Replace("[LONG]", string.Concat(Enumerable.Repeat("zq ", 40)), StringComparison.Ordinal))!;
        var error = (await FillAsync(server, body, HttpStatusCode.BadRequest))["error"]!;
        Assert.Equal((param, code, "invalid_request_error"), ((string?)error["param"], (string?)error["code"], (string?)error["type"]));
        Assert.Contains(told, (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Candidates_OfAllMasksTogether_AreLimited()
    {
        await using var server = await StartAsync(options => options with { Limits = options.Limits with { AllCandidates = 11 } });
        JsonObject Body(int k) => new() { ["input"] = "<mask> <mask>", ["top_k"] = k };
        await FillAsync(server, Body(5));
        Assert.Equal("top_k", (string?)(await FillAsync(server, Body(6), HttpStatusCode.BadRequest))["error"]!["param"]);
    }

    [Fact]
    public async Task Models_OfTheOtherFamily_AreRefusedBothWays()
    {
        await using var server = await StartAsync();
        var decoder = (await server.PostAsync(Route, new() { ["model"] = TestServer.ModelId, ["input"] = "<mask>" }, HttpStatusCode.BadRequest))["error"]!;
        Assert.Equal(("model", "unsupported_model"), ((string?)decoder["param"], (string?)decoder["code"]));
        Assert.Contains("is a decoder", (string)decoder["message"]!, StringComparison.Ordinal);

        (string Path, JsonObject Body)[] others =
        [
            ("/v1/completions", new() { ["prompt"] = "a" }), ("/v1/chat/completions", new() { ["messages"] = TestServer.Messages("a") }),
            ("/v1/responses", new() { ["input"] = "a" }), ("/v1/embeddings", new() { ["input"] = "a" }),
        ];
        foreach (var (path, body) in others)
        {
            body["model"] = "bert";
            var error = (await server.PostAsync(path, body, HttpStatusCode.BadRequest))["error"]!;
            Assert.Equal(("model", "unsupported_model"), ((string?)error["param"], (string?)error["code"]));
            Assert.Contains("at /v1/fill-mask", (string)error["message"]!, StringComparison.Ordinal);
        }

        var infer = (JsonObject)JsonNode.Parse("""{"inputs":[{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[1]}]}""")!;
        Assert.Contains("is an encoder", (string)(await server.PostAsync("/v2/models/bert/infer", infer, HttpStatusCode.BadRequest))["error"]!, StringComparison.Ordinal);
        using var metadata = await server.Http.GetAsync("/v2/models/bert");
        Assert.Equal(HttpStatusCode.BadRequest, metadata.StatusCode);
    }

    [Fact]
    public async Task Metrics_CountWhatWasRead_UnderTheModelsName()
    {
        await using var server = await StartAsync();
        await FillAsync(server, new() { ["input"] = new JsonArray("It <mask>", "was <mask>") });
        long tokens = Tokenizer.EncodeMasked("It <mask>").Length + Tokenizer.EncodeMasked("was <mask>").Length;
        var text = await server.Http.GetStringAsync("/metrics");
        Assert.Contains($"onnxllm_prompt_tokens_total{{model_name=\"bert\"}} {tokens}\n", text, StringComparison.Ordinal);
        Assert.Contains("onnxllm_e2e_request_latency_seconds_count{model_name=\"bert\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("route=\"/v1/fill-mask\"", text, StringComparison.Ordinal);
        using var answer = await server.SendAsync(Route, """{"model":"bert","input":"<mask>"}""", ("x-request-id", "mine"));
        Assert.Equal("mine", answer.Headers.GetValues("x-request-id").Single());
    }

    [Fact]
    public async Task Filter_OfTheServer_RefusesWhatScoresWouldShow()
    {
        await using var server = await StartAsync(guardrails: [new ContentGuardrail()]);
        Assert.Equal("unsupported_parameter", (string?)(await FillAsync(server, new() { ["input"] = "<mask>" }, HttpStatusCode.BadRequest))["error"]!["code"]);
    }

    [Fact]
    public void Chat_OfAnEncodersPackage_IsRefused() =>
        Assert.EndsWith("is an encoder, which continues no text.", Assert.Throws<ServingException>(() => PackagedModel.OpenChat(_package.Folder, threads: 1).Dispose()).Message, StringComparison.Ordinal);

    [Fact]
    public void Package_WhoseTokenizerHasNoMask_IsRefused()
    {
        using var package = new TinyPackage(TinyModel.Bert(TestServer.Tokenizer.VocabularySize), TestServer.Tokenizer);
        Assert.EndsWith("the tokenizer has no mask token.", Assert.Throws<ServingException>(() => ModelLoader.Load(new ServerOptions { Model = package.Folder })).Message, StringComparison.Ordinal);
    }

    public void Dispose() => _package.Dispose();

    /// <summary>Finds nothing, but might.</summary>
    private sealed class ContentGuardrail : IGuardrail
    {
        public IReadOnlyList<string> Categories => [];

        public IEnumerable<Finding> Inspect(string text, TextSide side) => [];
    }

    private Task<TestServer> StartAsync(Func<ServerOptions, ServerOptions>? change = null, IReadOnlyList<IGuardrail>? guardrails = null) => TestServer.StartAsync(
        change: change, more: [TextModels.Source("bert", _package)], guardrails: guardrails);

    private static Task<JsonNode> FillAsync(TestServer server, JsonObject body, HttpStatusCode expected = HttpStatusCode.OK)
    {
        body["model"] = "bert";
        return server.PostAsync(Route, body, expected);
    }

    private static ServingMetrics Metrics(TestServer server) => server.Service<ModelRegistry>().Find("bert")!.Metrics;

    private float[] Scores(int[] tokens, int[] places)
    {
        using var session = new EncoderSession(ModelPackage.Open(_package.Folder), new SessionSettings { Threads = 1 });
        return session.Score([new([.. tokens], [.. places])]).ToArray();
    }

    /// <summary>The same tokens; their probabilities within arithmetic.</summary>
    private static void AssertEqual(JsonNode expected, JsonNode actual)
    {
        foreach (var (e, a) in expected.AsArray().SelectMany(mask => mask!.AsArray()).Zip(actual.AsArray().SelectMany(mask => mask!.AsArray())))
        {
            Assert.Equal(((int)e!["token"]!, (string?)e["sequence"]), ((int)a!["token"]!, (string?)a["sequence"]));
            Assert.Equal((double)e["score"]!, (double)a["score"]!, Arithmetic);
        }
    }
}
