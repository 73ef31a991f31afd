using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>The content filter over HTTP: prompts, answers, streams, moderation.</summary>
public sealed class ContentFilterTests : IDisposable
{
    private const string Text = "Once upon a time there was a small server. It said a secret word, and it said it once more.";

    private readonly string _file = Path.GetTempFileName();

    public ContentFilterTests() => File.WriteAllText(_file, """{"window":16,"personal_data":"mask","categories":[{"name":"secrets","words":["secret"]}]}""");

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData("""{"model":"org/toy","prompt":"a SECRET plan"}""")]
    [InlineData("""{"model":"org/toy","prompt":["fine","a secret plan"]}""")]
    public async Task Prompt_WithABlockedWord_Is400(string body)
    {
        await using var server = await StartAsync();
        using var response = await server.SendAsync("/v1/completions", body);
        var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((HttpStatusCode.BadRequest, "content_filter"), (response.StatusCode, (string?)error["code"]));
        Assert.Equal(0, server.Model.PrefillPasses);
    }

    [Fact]
    public async Task Prompt_AsTokens_IsReadAsTheTextThatItIs()
    {
        await using var server = await StartAsync();
        var tokens = new JsonArray([.. TestServer.Tokenizer.Encode("a secret plan").Select(token => JsonValue.Create(token))]);
        var refusal = await server.CompleteAsync(new() { ["prompt"] = tokens }, HttpStatusCode.BadRequest);
        Assert.Equal("content_filter", (string?)refusal["error"]!["code"]);
    }

    [Fact]
    public async Task Answer_WithABlockedWord_EndsBeforeIt_WholeAndStreamed()
    {
        await using var server = await StartAsync();
        var whole = (await server.CompleteAsync(Greedy()))["choices"]![0]!;
        const string Before = " a time there was a small server. It said a ";
        Assert.Equal((Before, "content_filter"), ((string)whole["text"]!, (string)whole["finish_reason"]!));

        var events = await server.StreamAsync("/v1/completions", Greedy());
        Assert.Equal("[DONE]", events[^1]);
        var choices = events[..^1].Select(line => JsonNode.Parse(line)!["choices"]![0]!).ToArray();
        Assert.Equal(Before, string.Concat(choices.Select(choice => (string?)choice["text"])));
        Assert.Equal("content_filter", (string?)choices[^1]["finish_reason"]);
        Assert.True(choices.Length > 3);            // it was a stream all the same
        Assert.Equal(2, server.Metrics.Requests.Value("content_filter"));
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
    }

    [Fact]
    public async Task Answer_WithPersonalData_HasItMasked()
    {
        await using var server = await StartAsync("Once upon write to it@said.once more");
        var choice = (await server.CompleteAsync(Greedy()))["choices"]![0]!;
        Assert.Equal((" write to [EMAIL] more", "stop"), ((string)choice["text"]!, (string)choice["finish_reason"]!));
    }

    [Fact]
    public async Task Answer_WithPersonalDataThatIsBlocked_EndsBeforeIt()
    {
        await File.WriteAllTextAsync(_file, """{"personal_data":"block"}""");
        await using var server = await StartAsync("Once upon write to it@said.once more");
        var choice = (await server.CompleteAsync(Greedy()))["choices"]![0]!;
        Assert.Equal((" write to ", "content_filter"), ((string)choice["text"]!, (string)choice["finish_reason"]!));
    }

    [Fact]
    public async Task LogProbs_WhereAnswersAreFiltered_AreRefused()
    {
        await using var server = await StartAsync();
        var refusal = await server.CompleteAsync(new() { ["logprobs"] = 1 }, HttpStatusCode.BadRequest);
        Assert.Equal("unsupported_parameter", (string?)refusal["error"]!["code"]);
    }

    [Fact]
    public async Task Moderations_SayWhatTheFilterFinds()
    {
        await using var server = await StartAsync();
        var answer = await server.PostAsync("/v1/moderations", new() { ["input"] = new JsonArray("fine", "my Secret", "a@example.org") });
        var results = answer["results"]!.AsArray();
        Assert.Equal([false, true, true], results.Select(result => (bool)result!["flagged"]!));
        Assert.Equal((true, false), ((bool)results[1]!["categories"]!["secrets"]!, (bool)results[1]!["categories"]!["email"]!));
        Assert.True((bool)results[2]!["categories"]!["email"]!);
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"input":3}""")]
    [InlineData("""{"input":[{"type":"image_url","image_url":{"url":"x"}}]}""")]
    public async Task Moderations_OfWhatIsNoText_AreRefused(string body)
    {
        await using var server = await StartAsync();
        using var response = await server.SendAsync("/v1/moderations", body);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Moderations_WithoutAFilter_SaySo()
    {
        await using var server = await TestServer.StartAsync();
        var refusal = await server.PostAsync("/v1/moderations", new() { ["input"] = "x" }, HttpStatusCode.BadRequest);
        Assert.Equal("content_filter_missing", (string?)refusal["error"]!["code"]);
    }

    private Task<TestServer> StartAsync(string text = Text) => TestServer.StartAsync(TestServer.Parrot(text), options => options with { ContentFilter = _file, CacheBytes = 0 });

    private static JsonObject Greedy() => new() { ["temperature"] = 0, ["max_tokens"] = 99 };
}
