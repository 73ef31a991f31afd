using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Runtime;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>A real classifier of a few thousand weights beside the toy and an encoder that finds hidden tokens: what comes out is what its session gives.</summary>
public sealed class ClassifyTests : IDisposable
{
    /// <summary>A few hundred roundings of 6e-8: products over other numbers of rows may add up in another order.</summary>
    private const double Arithmetic = 2e-5;

    private const string Route = "/v1/classify", FillMask = "/v1/fill-mask";

    private static readonly string[] Labels = ["bad", "good", "so \"so\""];

    private static readonly Tokenizer Tokenizer = TextModels.Tokenizer;

    private readonly TinyPackage _classifier = TextModels.Classifier(Labels), _encoder = TextModels.Encoder();

    [Fact]
    public async Task Answer_TellsEveryLabelOfEveryText_TheLikeliestFirst()
    {
        await using var server = await StartAsync();
        string[] texts = ["It said what it had read.", "once", "Once upon a time there was a"];
        var answer = await ClassifyAsync(server, new() { ["input"] = new JsonArray([.. texts.Select(text => JsonValue.Create(text))]) });
        Assert.Equal(("list", "labels"), ((string?)answer["object"], (string?)answer["model"]));
        foreach (var (i, text) in texts.Index())
        {
            var told = answer["data"]![i]!;
            Assert.Equal(("text-classification", i), ((string?)told["object"], (int)told["index"]!));
            float[] scores = Scores(text);
            double sum = scores.Sum(score => Math.Exp(score));
            int[] order = [.. Enumerable.Range(0, Labels.Length).OrderByDescending(label => scores[label])];
            Assert.Equal(order.Select(label => Labels[label]), told["labels"]!.AsArray().Select(label => (string?)label!["label"]));
            foreach (var (label, one) in order.Zip(told["labels"]!.AsArray())) Assert.Equal(Math.Exp(scores[label]) / sum, (double)one!["score"]!, Arithmetic);
            Assert.Equal(1, told["labels"]!.AsArray().Sum(label => (double)label!["score"]!), 1e-9);
        }

        int tokens = texts.Sum(text => Tokenizer.Encode(text).Length + 1);
        Assert.Equal((tokens, tokens), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["total_tokens"]!));
    }

    [Fact]
    public async Task TopK_LimitsTheLabels_AndMayExceedThem()
    {
        await using var server = await StartAsync();
        foreach (var (wanted, told) in new[] { (1, 1), (2, 2), (1000, 3) })
            Assert.Equal(told, (await ClassifyAsync(server, new() { ["input"] = "it", ["top_k"] = wanted }))["data"]![0]!["labels"]!.AsArray().Count);
    }

    [Fact]
    public async Task Texts_OfOneRequest_ShareARun_AndAreAnsweredAsAlone()
    {
        await using var server = await StartAsync();
        var metrics = server.Service<ModelRegistry>().Find("labels")!.Metrics;
        var before = metrics.Executions.Value("encode");
        string[] texts = ["It", "Once upon a time there was a server.", "and it said"];
        var together = await ClassifyAsync(server, new() { ["input"] = new JsonArray([.. texts.Select(text => JsonValue.Create(text))]) });
        Assert.Equal(1, metrics.Executions.Value("encode") - before);
        foreach (var (i, text) in texts.Index())
        {
            var alone = (await ClassifyAsync(server, new() { ["input"] = text }))["data"]![0]!["labels"]!.AsArray();
            foreach (var (one, other) in alone.Zip(together["data"]![i]!["labels"]!.AsArray()))
            {
                Assert.Equal((string?)one!["label"], (string?)other!["label"]);
                Assert.Equal((double)one["score"]!, (double)other["score"]!, Arithmetic);
            }
        }
    }

    [Theory]
    [InlineData("{}", "input", "invalid_value", "'input' must be")]
    [InlineData("""{"input":""}""", "input", "empty_input", "is empty")]
    [InlineData("""{"input":["it",""]}""", "input", "empty_input", "is empty")]
    [InlineData("""{"input":"[LONG]"}""", null, "context_length_exceeded", "the model reads at most 32")]
    [InlineData("""{"input":"it","top_k":0}""", "top_k", "invalid_value", "of at least 1")]
    public async Task Request_ThatMakesNoSense_IsRefusedInWords(string json, string? param, string code, string told)
    {
        await using var server = await StartAsync();
        var body = (JsonObject)JsonNode.Parse(json.Replace("[LONG]", string.Concat(Enumerable.Repeat("zq ", 40)), StringComparison.Ordinal))!;
        var error = (await ClassifyAsync(server, body, HttpStatusCode.BadRequest))["error"]!;
        Assert.Equal((param, code, "invalid_request_error"), ((string?)error["param"], (string?)error["code"], (string?)error["type"]));
        Assert.Contains(told, (string)error["message"]!, StringComparison.Ordinal);
    }

    /// <summary>The token at which the model answers is one of the 32.</summary>
    [Fact]
    public async Task LongestText_IsReadWhole()
    {
        await using var server = await StartAsync();
        string text = string.Concat(Enumerable.Repeat("zq", 40));
        while (Tokenizer.Encode(text).Length > 31) text = text[..^1];
        Assert.Equal(32, (int)(await ClassifyAsync(server, new() { ["input"] = text }))["usage"]!["prompt_tokens"]!);
        await ClassifyAsync(server, new() { ["input"] = text + "zq" }, HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Models_ForOtherTasks_AreRefusedEveryWay()
    {
        await using var server = await StartAsync();
        (string Path, string Model, string Told)[] misfits =
        [
            (Route, "bert", "is an encoder, which gives no labels; it finds hidden tokens, at /v1/fill-mask."),
            (Route, TestServer.ModelId, "is a decoder, which gives no labels; it continues texts."),
            (FillMask, "labels", "is an encoder, which finds no hidden tokens; it gives texts labels, at /v1/classify."),
            (FillMask, TestServer.ModelId, "is a decoder, which finds no hidden tokens; it continues texts."),
            ("/v1/embeddings", "labels", "is an encoder, which continues no text; it gives texts labels, at /v1/classify."),
        ];
        foreach (var (path, model, told) in misfits)
        {
            var error = (await server.PostAsync(path, new() { ["model"] = model, ["input"] = "a <mask>" }, HttpStatusCode.BadRequest))["error"]!;
            Assert.Equal(("model", "unsupported_model"), ((string?)error["param"], (string?)error["code"]));
            Assert.EndsWith(told, (string)error["message"]!, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Labels_OfAllTextsTogether_AreLimited()
    {
        await using var server = await StartAsync(options => options with { Limits = options.Limits with { AllLabels = 5 } });
        Assert.Equal("top_k", (string?)(await ClassifyAsync(server, new() { ["input"] = new JsonArray("a", "b") }, HttpStatusCode.BadRequest))["error"]!["param"]);
        await ClassifyAsync(server, new() { ["input"] = new JsonArray("a", "b"), ["top_k"] = 2 });
    }

    /// <summary>Both routes of encoders, while the engine stands still.</summary>
    [Theory]
    [InlineData(Route, "labels")]
    [InlineData(FillMask, "bert")]
    public async Task Answer_BeyondTheTimeLimit_IsGivenUp(string route, string model)
    {
        var time = new StalledTime();
        await using var server = await StartAsync(options => options with { RequestTimeout = TimeSpan.FromSeconds(60) }, time);
        var engine = ((EncoderModel)server.Service<ModelRegistry>().Find(model)!.Current!).Engine;
        time.Engine.Reset();
        try
        {
            var answering = server.SendAsync(route, $$"""{"model":"{{model}}","input":"<mask>"}""");
            Assert.True(SpinWait.SpinUntil(() => engine.Waiting == 1, TestServer.Patience));
            Assert.True(SpinWait.SpinUntil(() => { time.Advance(); return answering.IsCompleted; }, TestServer.Patience));
            using var response = await answering;
            Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
            Assert.Equal("request_timeout", (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["code"]);
        }
        finally
        {
            time.Engine.Set();
        }

        Assert.True(SpinWait.SpinUntil(() => engine.Waiting == 0, TestServer.Patience));
        Assert.Equal(0, server.Service<ModelRegistry>().Find(model)!.Metrics.PromptTokens.Value());
    }

    [Fact]
    public void Package_WhoseTokenizerBeginsNoText_IsRefused()
    {
        var tokenizer = BpeTrainer.Train(["a b c"], new BpeSettings { VocabularySize = 300, SpecialTokens = [BpeSettings.MaskToken] });
        using var package = new TinyPackage(TinyModel.Bert(tokenizer.VocabularySize, labels: [.. Labels]), tokenizer);
        Assert.EndsWith("at which a classifier gives its answer.", Assert.Throws<ServingException>(() => ModelLoader.Load(new ServerOptions { Model = package.Folder })).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _classifier.Dispose();
        _encoder.Dispose();
    }

    private Task<TestServer> StartAsync(Func<ServerOptions, ServerOptions>? change = null, TimeProvider? time = null) => TestServer.StartAsync(change: change, time: time, more: [TextModels.Source("labels", _classifier), TextModels.Source("bert", _encoder)]);

    private static Task<JsonNode> ClassifyAsync(TestServer server, JsonObject body, HttpStatusCode expected = HttpStatusCode.OK)
    {
        body["model"] = "labels";
        return server.PostAsync(Route, body, expected);
    }

    private float[] Scores(string text)
    {
        using var session = new EncoderSession(ModelPackage.Open(_classifier.Folder), new SessionSettings { Threads = 1 });
        return session.Score([EncoderInput.Classified([.. Tokenizer.EncodeClassified(text)])]).ToArray();
    }

    /// <summary>A clock that moves by hand, and on which an encoder's thread may be held.</summary>
    private sealed class StalledTime : TimeProvider
    {
        private readonly ManualTime _time = new();

        public ManualResetEventSlim Engine { get; } = new(initialState: true);

        public override long TimestampFrequency => _time.TimestampFrequency;

        public void Advance() => _time.Advance(TimeSpan.FromSeconds(61));

        public override DateTimeOffset GetUtcNow() => _time.GetUtcNow();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => _time.CreateTimer(callback, state, dueTime, period);

        public override long GetTimestamp()
        {
            if (Thread.CurrentThread.Name == "encoder") Engine.Wait();
            return _time.GetTimestamp();
        }
    }
}
