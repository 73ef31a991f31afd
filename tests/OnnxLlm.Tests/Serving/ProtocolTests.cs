using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;

namespace OnnxLlm.Tests.Serving;

/// <summary>The Open Inference Protocol, the tokenizer routes and the document that lists them all.</summary>
public sealed class ProtocolTests
{
    private const string Model = "/v2/models/org%2Ftoy";

    [Fact]
    public async Task Metadata_OfServerAndModel_HasItsShape()
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal("onnxllm", (string?)(await GetAsync(server, "/v2"))["name"]);
        var model = await GetAsync(server, Model);
        Assert.Equal((TestServer.ModelId, "input_ids", "INT64"), ((string?)model["name"], (string?)model["inputs"]![0]!["name"], (string?)model["inputs"]![0]!["datatype"]));
        Assert.Equal([-1, -1, TestServer.Tokenizer.VocabularySize], model["outputs"]![0]!["shape"]!.AsArray().Select(size => (int)size!));
        Assert.True((bool)(await GetAsync(server, $"{Model}/versions/1/ready"))["ready"]!);
        var index = await server.PostAsync("/v2/repository/index", []);
        Assert.Equal("READY", (string?)index[0]!["state"]);
    }

    [Theory]
    [InlineData("""{"text_input":"Once upon","parameters":{"max_tokens":12,"seed":7,"temperature":1.5}}""")]
    [InlineData("""{"text_input":"Once upon","max_tokens":12,"seed":7,"temperature":1.5}""")]
    public async Task Generate_WithASeed_EqualsTheCompletion(string body)
    {
        await using var server = await TestServer.StartAsync();
        var expected = (string)(await server.CompleteAsync(new() { ["max_tokens"] = 12, ["seed"] = 7, ["temperature"] = 1.5 }))["choices"]![0]!["text"]!;
        var answer = await server.PostAsync($"{Model}/generate", (JsonObject)JsonNode.Parse(body)!);
        Assert.Equal(expected, (string?)answer["text_output"]);

        using var streamed = await server.SendAsync($"{Model}/generate_stream", body);
        var events = (await streamed.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(expected, string.Concat(events.Select(line => (string?)JsonNode.Parse(line["data: ".Length..])!["text_output"])));
    }

    [Fact]
    public async Task Generate_WithDetails_SaysWhyItEndedAndHowLikelyTokensWere()
    {
        await using var server = await TestServer.StartAsync();
        var answer = await server.PostAsync($"{Model}/generate", new() { ["text_input"] = "Once", ["max_tokens"] = 3, ["ignore_eos"] = true, ["parameters"] = new JsonObject { ["details"] = true } });
        Assert.Equal("length", (string?)answer["details"]!["finish_reason"]);
        Assert.Equal(3, answer["details"]!["logprobs"]!.AsArray().Count);
    }

    [Theory]
    [InlineData("", "eos_token", "bcdefgh")]
    [InlineData(""","stop":["e"]""", "stop_sequence", "bcd")]
    [InlineData(""","max_tokens":2""", "length", "bc")]
    public async Task Generate_WithDetails_NamesTheEnd(string more, string reason, string text)
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        var answer = await server.PostAsync($"{Model}/generate", Body(more));
        Assert.Equal((text, reason), ((string?)answer["text_output"], (string?)answer["details"]!["finish_reason"]));
        var events = await StreamAsync(server, Body(more));
        Assert.Equal(text, string.Concat(events.Select(piece => (string?)piece["text_output"])));
        Assert.Equal(reason, (string?)events[^1]["details"]!["finish_reason"]);

        static JsonObject Body(string more) => (JsonObject)JsonNode.Parse($$"""{"text_input":"a","temperature":0,"details":true{{more}}}""")!;
    }

    [Fact]
    public async Task Generate_WithDetails_HasEveryTokenByItsNumber()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefgh"));
        JsonObject body = new() { ["text_input"] = "a", ["temperature"] = 0, ["max_tokens"] = 3, ["details"] = true };
        var tokens = (await server.PostAsync($"{Model}/generate", (JsonObject)body.DeepClone()))["details"]!["logprobs"]!.AsArray();
        Assert.Equal(TestServer.Tokenizer.Encode("bcd"), tokens.Select(token => (int)token!["id"]!));
        Assert.All(tokens, token => Assert.False((bool)token!["special"]!));
        Assert.Equal(["id", "text", "logprob", "special"], tokens[0]!.AsObject().Select(field => field.Key));

        var streamed = (await StreamAsync(server, body)).Select(piece => (Text: (string?)piece["text_output"], Token: piece["details"]!["token"])).Where(piece => piece.Token is not null).ToArray();
        Assert.Equal(["b", "c", "d"], streamed.Select(piece => piece.Text));
        Assert.Equal(tokens.Select(token => token!.ToJsonString()), streamed.Select(piece => piece.Token!.ToJsonString()));
    }

    [Fact]
    public async Task Generate_OfSeveralAnswers_IsRefused()
    {
        await using var server = await TestServer.StartAsync();
        var refusal = await server.PostAsync($"{Model}/generate", new() { ["text_input"] = "x", ["n"] = 2 }, HttpStatusCode.UnprocessableEntity);
        Assert.Contains("'n'", (string)refusal["error"]!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("generate", "no-store", null)]
    [InlineData("generate", "max-age=0", "miss")]
    [InlineData("generate_stream", "no-store", null)]
    [InlineData("generate_stream", "max-age=0", "miss")]
    public async Task Generate_HasTheHeadersOfACompletion(string route, string control, string? cache)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.SendAsync($"{Model}/{route}", """{"text_input":"x","seed":7,"max_tokens":2}""", ("Cache-Control", control));
        Assert.Equal("7", Assert.Single(response.Headers.GetValues("x-seed")));
        Assert.Equal(cache, response.Headers.TryGetValues("x-cache", out var states) ? states.Single() : null);
    }

    [Fact]
    public async Task Statistics_HaveEveryPartOfTritonsForm()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync($"{Model}/generate", new() { ["text_input"] = "x", ["max_tokens"] = 2, ["ignore_eos"] = true });
        var parts = (await GetAsync(server, $"{Model}/stats"))["model_stats"]![0]!["inference_stats"]!.AsObject();
        Assert.Equal(["success", "fail", "queue", "compute_input", "compute_infer", "compute_output"], parts.Select(part => part.Key));
        Assert.All(parts.Where(part => part.Key != "fail"), part => Assert.Equal(1, (int)part.Value!["count"]!));
    }

    [Theory]
    [InlineData("/v2/models/unknown/generate", """{"text_input":"x"}""", 404)]
    [InlineData("/v2/models/org%2Ftoy/generate", """{"text":"x"}""", 422)]
    [InlineData("/v2/models/org%2Ftoy/generate", """{"text_input":"x","parameters":{"temperature":9}}""", 422)]
    [InlineData("/v2/models/org%2Ftoy/generate", "{", 422)]
    [InlineData("/v2/models/org%2Ftoy/generate_stream", """{"text_input":7}""", 422)]
    [InlineData("/v2/models/org%2Ftoy/infer", "{", 400)]
    [InlineData("/v2/models/org%2Ftoy/nothing", "{}", 404)]
    public async Task Mistakes_HaveAPlainError(string path, string body, int status)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.SendAsync(path, body);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.NotEmpty((string)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!);
    }

    /// <summary>As the protocol's profile for text has it.</summary>
    [Fact]
    public async Task Generate_ThatFails_Is424()
    {
        await using var server = await TestServer.StartAsync();
        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        using var response = await server.SendAsync($"{Model}/generate", """{"text_input":"x"}""");
        Assert.Equal(HttpStatusCode.FailedDependency, response.StatusCode);
    }

    [Fact]
    public async Task Tokens_ThereAndBack_AreTheText()
    {
        await using var server = await TestServer.StartAsync();
        var tokens = await server.PostAsync("/tokenize", new() { ["prompt"] = "It said what ü", ["return_token_strs"] = true });
        Assert.Equal((int)tokens["count"]!, tokens["tokens"]!.AsArray().Count);
        Assert.Equal(TestServer.Tokenizer.Encode("It said what ü"), tokens["tokens"]!.AsArray().Select(token => (int)token!));
        var text = await server.PostAsync("/v1/detokenize", new() { ["tokens"] = tokens["tokens"]!.DeepClone() });
        Assert.Equal("It said what ü", (string?)text["prompt"]);
        var chat = await server.PostAsync("/tokenize", new() { ["messages"] = TestServer.Messages("Hello") });
        Assert.True((int)chat["count"]! > 3);
        var info = await GetAsync(server, "/tokenizer_info");
        Assert.Equal((256, "PreTrainedTokenizerFast"), ((int)info["model_max_length"]!, (string?)info["tokenizer_class"]));
        Assert.Equal(info.ToJsonString(), (await GetAsync(server, $"/tokenizer_info?model={TestServer.ModelId}")).ToJsonString());
        using var unknown = await server.Http.GetAsync(new Uri("/tokenizer_info?model=other", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Theory]
    [InlineData("/tokenize", "{}")]
    [InlineData("/tokenize", """{"prompt":7}""")]
    [InlineData("/tokenize", """{"messages":[]}""")]
    [InlineData("/tokenize", """{"prompt":"\ud800"}""")]
    [InlineData("/detokenize", """{"tokens":[-1]}""")]
    [InlineData("/detokenize", """{"tokens":"abc"}""")]
    [InlineData("/detokenize", "[]")]
    public async Task Tokenizer_AskedWrongly_Is400(string path, string body)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.SendAsync(path, body);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task OpenApi_DescribesEveryRoute()
    {
        await using var server = await TestServer.StartAsync();
        var document = await GetAsync(server, "/openapi.json");
        Assert.StartsWith("3.1", (string?)document["openapi"], StringComparison.Ordinal);
        var described = document["paths"]!.AsObject().Select(path => path.Key).ToHashSet();
        var routes = server.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().Select(route => route.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal));
        Assert.Equal(["/openapi.json"], routes.Where(route => !described.Contains(route)));
        Assert.NotNull(document["paths"]!["/v1/chat/completions"]!["post"]!["requestBody"]!["content"]!["application/json"]!["schema"]!["properties"]!["messages"]);
    }

    /// <summary>Each field that the document has, with a value of a type that it does not have there, is refused by its name: it is read, and read as it is described.</summary>
    [Theory]
    [InlineData("/v1/completions", "prompt")]
    [InlineData("/v1/chat/completions", "messages")]
    [InlineData("/v1/responses", "input")]
    [InlineData("/v1/embeddings", "input")]
    [InlineData("/v1/tokenize", "prompt")]
    [InlineData("/v1/detokenize", "tokens")]
    public async Task OpenApi_DescribesFieldsThatAreRead(string path, string main)
    {
        await using var server = await TestServer.StartAsync();
        var schema = (await GetAsync(server, "/openapi.json"))["paths"]![path]!["post"]!["requestBody"]!["content"]!["application/json"]!["schema"]!;
        var fields = schema["properties"]!.AsObject();
        Assert.Contains(main, fields.Select(field => field.Key));
        Assert.All(schema["required"]?.AsArray() ?? [], name => Assert.Contains((string)name!, fields.Select(field => field.Key)));
        foreach (var (name, described) in fields)
        {
            if (path.EndsWith("tokenize", StringComparison.Ordinal) && name == "messages") continue;         // beside a prompt it takes its place
            JsonObject body = new() { ["model"] = TestServer.ModelId, [main] = main == "messages" ? TestServer.Messages("x") : main == "tokens" ? new JsonArray(5) : "x" };
            body[name] = described!["type"] is JsonValue type && (string?)type == "object" ? new JsonArray() : new JsonObject();
            Assert.Equal(name, (string?)(await server.PostAsync(path, body, HttpStatusCode.BadRequest))["error"]!["param"]);
        }
    }

    [Theory]
    [InlineData("/v1/completions")]
    [InlineData("/v1/chat/completions")]
    public async Task OpenApi_HasTheFieldsThatClientsSend(string path)
    {
        await using var server = await TestServer.StartAsync();
        var fields = (await GetAsync(server, "/openapi.json"))["paths"]![path]!["post"]!["requestBody"]!["content"]!["application/json"]!["schema"]!["properties"]!.AsObject().Select(field => field.Key);
        Assert.Empty(new[] { "model", "stream", "stream_options", "max_tokens", "stop", "seed", "n", "min_tokens", "ignore_eos", "stop_token_ids", "top_k", "min_p", "logprobs", "skip_special_tokens" }.Except(fields));
    }

    private static async Task<JsonNode[]> StreamAsync(TestServer server, JsonObject body)
    {
        using var response = await server.SendAsync($"{Model}/generate_stream", body.ToJsonString());
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line["data: ".Length..])!)];
    }

    private static async Task<JsonNode> GetAsync(TestServer server, string path) => JsonNode.Parse(await server.Http.GetStringAsync(path))!;
}
