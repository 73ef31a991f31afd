using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Playground;

namespace OnnxLlm.Tests.Serving;

public sealed class RouteTests
{
    private static readonly string[] Open = [.. PageFile.All.Select(file => file.Name == "index.html" ? "/" : $"/playground/{file.Name}"), "/health", "/health/live", "/health/ready", "/ping", "/v2/health/live", "/v2/health/ready"];

    [Fact]
    public async Task Routes_AllButHealth_NeedAKey()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right"] });
        var routes = server.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().ToArray();
        Assert.True(routes.Length >= 14);
        foreach (var route in routes)
        {
            var path = route.RoutePattern.RawText!.Replace("{**id}", "org/toy", StringComparison.Ordinal).Replace("{id}", "x", StringComparison.Ordinal).Replace("{model}", "x", StringComparison.Ordinal);
            var method = new HttpMethod(Assert.Single(route.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods));
            using var response = await server.Http.SendAsync(new HttpRequestMessage(method, path));
            Assert.Equal(Open.Contains(path), response.StatusCode == HttpStatusCode.OK);
            if (!Open.Contains(path)) Assert.Equal(("Bearer", HttpStatusCode.Unauthorized), (response.Headers.WwwAuthenticate.ToString(), response.StatusCode));
        }
    }

    [Theory]
    [InlineData("Authorization", "Bearer right", 200)]
    [InlineData("Authorization", "bearer second", 200)]
    [InlineData("api-key", "right", 200)]
    [InlineData("Authorization", "Bearer wrong", 401)]
    [InlineData("Authorization", "right", 401)]
    [InlineData("api-key", "", 401)]
    public async Task Key_InEitherHeader_Opens(string header, string value, int status)
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right", "second"] });
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.TryAddWithoutValidation(header, value);
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task Metrics_MayBeOpened()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right"], OpenMetrics = true });
        using var response = await server.Http.GetAsync("/metrics");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("GET", "/v1/nothing", 404, "unknown_url")]
    [InlineData("POST", "/v1/assistants", 404, "unknown_url")]
    [InlineData("GET", "/nothing", 404, "unknown_url")]
    [InlineData("GET", "/v1/models/unknown/name", 404, "model_not_found")]
    [InlineData("GET", "/v1/completions", 405, "method_not_allowed")]
    [InlineData("DELETE", "/v1/models/org/toy", 405, "method_not_allowed")]
    public async Task Framework_Refusals_HaveAnOpenAiBody(string method, string path, int status, string code)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
        Assert.Equal(status, (int)response.StatusCode);
        await HasErrorAsync(response, code);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task Body_OfAnotherType_Is415(string type)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.Http.PostAsync("/v1/completions", new StringContent("{}", Encoding.UTF8, type));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        await HasErrorAsync(response, "unsupported_media_type");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Body_TooLarge_Is413(bool chunked)
    {
        await using var server = await TestServer.StartAsync(change: options => options with { Limits = options.Limits with { BodyBytes = 5000 } });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(new string(' ', 6000), Encoding.UTF8, "application/json") };
        request.Headers.TransferEncodingChunked = chunked;
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        await HasErrorAsync(response, "request_too_large");
    }

    [Theory]
    [InlineData("/v1/models")]
    [InlineData("/models")]
    public async Task Models_ListTheOne(string path)
    {
        await using var server = await TestServer.StartAsync();
        var list = JsonNode.Parse(await server.Http.GetStringAsync(path))!;
        Assert.Equal(("list", "org/toy"), ((string)list["object"]!, (string)list["data"]![0]!["id"]!));
        var one = JsonNode.Parse(await server.Http.GetStringAsync($"{path}/org/toy"))!;
        Assert.Equal(list["data"]![0]!.ToJsonString(), one.ToJsonString());
    }

    [Fact]
    public async Task Model_ByItsAlias_Answers()
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal("org/toy", (string)(await server.CompleteAsync(new() { ["model"] = "gpt-anything" }))["model"]!);
    }

    [Theory]
    [InlineData("my-id_7.a", "my-id_7.a")]
    [InlineData("has space", null)]
    [InlineData("", null)]
    public async Task RequestId_ShortAndPrintable_ComesBackAndIsInTheLog(string sent, string? expected)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.SendAsync("/v1/completions", "{}", ("x-request-id", sent));
        var id = Assert.Single(response.Headers.GetValues("x-request-id"));
        if (expected is not null) Assert.Equal(expected, id);
        else Assert.StartsWith("req_", id, StringComparison.Ordinal);
        Assert.Contains(server.Log, line => line.Contains($"RequestId={id}", StringComparison.Ordinal));
        Assert.True(response.Headers.Contains("openai-processing-ms"));
    }

    [Fact]
    public async Task Log_AtItsMostTalkative_HasNothingOfPromptOrAnswer()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("sesame opens the door of wonders"));
        await server.CompleteAsync(new() { ["prompt"] = "sesame", ["temperature"] = 0 });
        await server.ChatAsync(new() { ["messages"] = TestServer.Messages("sesame"), ["stop"] = "sesame" });
        await server.StreamAsync("/v1/completions", new() { ["prompt"] = "sesame" });
        await server.CompleteAsync(new() { ["prompt"] = "sesame", ["max_tokens"] = 100_000 }, HttpStatusCode.BadRequest);
        using var broken = await server.SendAsync("/v1/completions", """{"prompt":"sesame" wonders""");
        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        await server.CompleteAsync(new() { ["prompt"] = "sesame", ["seed"] = 5 }, HttpStatusCode.InternalServerError);
        Assert.NotEmpty(server.Log);
        Assert.DoesNotContain(server.Log, line => line.Contains("sesame", StringComparison.Ordinal) || line.Contains("wonders", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://127.0.0.1:80", false)]
    [InlineData("http://localhost:80", false)]
    [InlineData("http://[::1]:80", false)]
    [InlineData("http://0.0.0.0:80", true)]
    [InlineData("http://*:80", true)]
    [InlineData("http://10.1.2.3:80", true)]
    public void Exposure_WithoutAKey_IsWarnedOf(string url, bool warned)
    {
        var options = new ServerOptions { Model = "x", Urls = [url] };
        Assert.Equal(warned, ServerHost.Exposure(options, Keys([])) is not null);
        Assert.Null(ServerHost.Exposure(options, Keys([ApiKey.Plain("k")])));
        // An administrator's key protects what only administrators may do.
        Assert.Equal(warned, ServerHost.Exposure(options, Keys([ApiKey.Plain("k") with { IsAdmin = true }])) is not null);

        static ApiKeys Keys(ApiKey[] keys) => new(keys, TimeProvider.System);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("OPTIONS")]
    public async Task Page_OfAnotherSite_IsGrantedNothing(string method)
    {
        await using var server = await TestServer.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), "/v1/models");
        request.Headers.Add("Origin", "https://elsewhere.example");
        request.Headers.Add("Access-Control-Request-Method", "POST");
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(method == "GET" ? HttpStatusCode.OK : HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.DoesNotContain(response.Headers, header => header.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void Urls_ByDefault_AreLocal() => Assert.Equal("http://127.0.0.1:8080", Assert.Single(new ServerOptions { Model = "x" }.Urls));

    private static async Task HasErrorAsync(HttpResponseMessage response, string code)
    {
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!.AsObject();
        Assert.Equal(["message", "type", "param", "code"], error.Select(field => field.Key));
        Assert.Equal(code, (string?)error["code"]);
    }
}
