using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Playground;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>What the playground is made of; how it behaves in a browser is in <see cref="PlaygroundBrowserTests"/>.</summary>
public sealed partial class PlaygroundTests
{
    [Fact]
    public async Task Page_NeedsNoKey_AndAllowsNothingFromElsewhere()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right"] });
        using var page = await server.Http.GetAsync("/");
        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType!.MediaType));
        var policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
        Assert.StartsWith("default-src 'none';", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        using var models = await server.Http.GetAsync("/playground/models");
        Assert.Equal(HttpStatusCode.Unauthorized, models.StatusCode);
    }

    [Fact]
    public async Task Page_NamesOnlyFilesThatTheServerHas()
    {
        await using var server = await TestServer.StartAsync();
        var (pending, known) = (new Queue<string>(["/"]), new HashSet<string>());
        while (pending.TryDequeue(out var path))
        {
            if (!known.Add(path)) continue;
            var text = await server.Http.GetStringAsync(path);
            Assert.DoesNotMatch(ForeignAddress(), text);
            foreach (Match match in LocalFile().Matches(text)) pending.Enqueue($"/playground/{match.Groups[1].Value}");
        }

        Assert.Equal(PageFile.All.Count, known.Count);
    }

    [Fact]
    public async Task Page_NotChanged_IsNotSentAgain()
    {
        await using var server = await TestServer.StartAsync();
        using var first = await server.Http.GetAsync("/playground/page.css");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/playground/page.css");
        request.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await server.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
    }

    [Fact]
    public async Task Page_SwitchedOff_IsNotThere()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { Playground = false });
        foreach (var path in new[] { "/", "/playground/page.js", "/playground/models" })
        {
            using var response = await server.Http.GetAsync(path);
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }
    }

    [Fact]
    public async Task Models_TellWhatQuantizationCost()
    {
        var model = TestServer.Noise();
        var quantization = new JsonObject { ["bits"] = 8, ["float_bytes"] = 400, ["quantized_bytes"] = 100 };
        var other = TestServer.Describe("quantized", model) with { Quantization = quantization, Parameters = 1234 };
        await using var server = await TestServer.StartAsync(more: [new ModelSource(other, model)]);
        var models = JsonNode.Parse(await server.Http.GetStringAsync("/playground/models"))!["models"]!.AsArray();
        Assert.Equal([TestServer.ModelId, "quantized"], models.Select(known => (string?)known!["id"]));
        Assert.Null(models[0]!["quantization"]);
        Assert.Equal((100, 1234), ((int)models[1]!["quantization"]!["quantized_bytes"]!, (int)models[1]!["parameters"]!));
    }

    [Fact]
    public async Task Live_TellsTheStateEachSecond_AndEndsWithTheServer()
    {
        var time = new ManualTime();
        await using var server = await TestServer.StartAsync(time: time);
        using var response = await server.Http.GetAsync("/playground/live", HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal(0, (int)(await StateAsync())["generation_tokens"]!);

        await server.CompleteAsync(new() { ["max_tokens"] = 4, ["ignore_eos"] = true });
        var next = StateAsync();
        Assert.True(SpinWait.SpinUntil(() => { time.Advance(TimeSpan.FromSeconds(1)); return next.IsCompleted; }, TestServer.Patience));
        Assert.Equal(4, (int)(await next)["generation_tokens"]!);

        server.Service<Microsoft.Extensions.Hosting.IHostApplicationLifetime>().StopApplication();
        await lines.ReadToEndAsync().WaitAsync(TestServer.Patience);

        async Task<JsonNode> StateAsync()
        {
            string? line;
            do line = await lines.ReadLineAsync();
            while (line is "");
            return JsonNode.Parse(line!["data: ".Length..])!["models"]![0]!;
        }
    }

    [GeneratedRegex("""(?:src|href|from|@import|url)[\s=("']+(?:https?:)?//""")]
    private static partial Regex ForeignAddress();

    [GeneratedRegex("""(?:playground/|from "\./)([a-z]+\.(?:js|css|svg|html))""")]
    private static partial Regex LocalFile();
}
