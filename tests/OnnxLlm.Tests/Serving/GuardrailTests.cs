using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Tests.Serving;

/// <summary>Guardrails of a program that the server is part of, right ones and faulty ones.</summary>
public sealed class GuardrailTests
{
    private const string Text = "Once upon a time there was a small server. It said a secret word. And it said it once more.";
    private const int Window = 16;

    [Fact]
    public async Task Guardrail_ThatThrowsAtAnAnswer_Is500AndShowsNothing()
    {
        await using var server = await StartAsync(new FaultyGuardrail(TextSide.Answer));
        var failure = await server.CompleteAsync(Greedy(), HttpStatusCode.InternalServerError);
        Assert.Equal(("internal_error", "server_error"), ((string?)failure["error"]!["code"], (string?)failure["error"]!["type"]));
        Assert.DoesNotContain("small", failure.ToJsonString(), StringComparison.Ordinal);
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
        Assert.Equal(1, server.Metrics.Requests.Value("error"));
    }

    [Fact]
    public async Task Guardrail_ThatThrowsInAStream_BreaksItOffBeforeWhatIsHeldBack()
    {
        await using var server = await StartAsync(new FaultyGuardrail(TextSide.Answer));
        var (events, isBroken) = await BrokenStreamAsync(server);
        Assert.True(isBroken);
        Assert.DoesNotContain("[DONE]", events);
        Assert.Equal("internal_error", (string?)JsonNode.Parse(events[^1])!["error"]!["code"]);
        var shown = string.Concat(events[..^1].Select(line => (string?)JsonNode.Parse(line)!["choices"]![0]!["text"]));
        const string Allowed = " a time there was a small server. It said a secret";
        Assert.StartsWith(shown, Allowed, StringComparison.Ordinal);
        Assert.InRange(shown.Length, 1, Allowed.Length - Window);
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
    }

    [Fact]
    public async Task Guardrail_ThatThrowsAtAPrompt_Is500AndAsksNoModel()
    {
        await using var server = await StartAsync(new FaultyGuardrail(TextSide.Prompt));
        await server.CompleteAsync(new() { ["prompt"] = "a secret" }, HttpStatusCode.InternalServerError);
        Assert.Equal(0, server.Model.PrefillPasses);
        await server.CompleteAsync(Greedy());
    }

    [Fact]
    public async Task Guardrail_ThatFindsPlacesThatAreNone_Is500()
    {
        await using var server = await StartAsync(new FaultyGuardrail(TextSide.Answer, finding: new Finding(3, 10_000, "faulty", null)));
        await server.CompleteAsync(Greedy(), HttpStatusCode.InternalServerError);
    }

    [Fact]
    public async Task Classifier_ThatObjectsToASentence_BlocksItWhole()
    {
        await using var server = await StartAsync(new ClassifierGuardrail("secrets", "1", sentence => sentence.Contains("secret", StringComparison.Ordinal) ? 0.9 : 0.2));
        var choice = (await server.CompleteAsync(Greedy()))["choices"]![0]!;
        Assert.Equal((" a time there was a small server.", "content_filter"), ((string)choice["text"]!, (string)choice["finish_reason"]!));
        var refusal = await server.CompleteAsync(new() { ["prompt"] = "All is well. A secret?" }, HttpStatusCode.BadRequest);
        Assert.Equal("content_filter", (string?)refusal["error"]!["code"]);
    }

    [Fact]
    public async Task Classifier_BesideAFile_HasTheFilesGuardrailsToo()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, """{"categories":[{"name":"sizes","words":["small"]}]}""");
        await using var server = await TestServer.StartAsync(TestServer.Parrot(Text), options => options with { ContentFilter = file }, guardrails: [new ClassifierGuardrail("none", "1", _ => 0)]);
        File.Delete(file);
        Assert.Equal(" a time there was a ", (string?)(await server.CompleteAsync(Greedy()))["choices"]![0]!["text"]);
        Assert.Equal(["sizes", "none"], server.Service<Guardrails>().Categories);
    }

    [Fact]
    public void Fingerprint_OfOtherGuardrails_IsAnother()
    {
        string[] all = [.. new[] { ("1", 0.5), ("2", 0.5), ("1", 0.6) }.Select(of => Guardrails.Create([new ClassifierGuardrail("a", of.Item1, _ => 0, of.Item2)], null).Fingerprint)];
        Assert.Distinct(all.Append(Guardrails.Create([], null).Fingerprint).Append(Guardrails.Create([new FaultyGuardrail(TextSide.Answer)], null).Fingerprint));
    }

    private static Task<TestServer> StartAsync(IGuardrail guardrail) => TestServer.StartAsync(TestServer.Parrot(Text), options => options with { CacheBytes = 0 }, guardrails: [guardrail]);

    private static JsonObject Greedy() => new() { ["temperature"] = 0, ["max_tokens"] = 99 };

    /// <summary>The events of a stream, and whether its connection broke.</summary>
    private static async Task<(List<string> Events, bool IsBroken)> BrokenStreamAsync(TestServer server)
    {
        using var response = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"Once upon","temperature":0,"max_tokens":99,"stream":true}""");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        var events = new List<string>();
        try
        {
            while (await reader.ReadLineAsync() is { } line)
                if (line.Length > 0) events.Add(line["data: ".Length..]);
        }
        catch (HttpIOException)
        {
            return (events, true);
        }

        return (events, false);
    }

    /// <summary>Fails, or finds nonsense, where it sees the word "secret".</summary>
    private sealed class FaultyGuardrail(TextSide of, Finding? finding = null) : IGuardrail
    {
        public IReadOnlyList<string> Categories => ["faulty"];

        public int Window => GuardrailTests.Window;

        public IEnumerable<Finding> Inspect(string text, TextSide side) =>
            side != of || !text.Contains("secret", StringComparison.Ordinal) ? []
            : finding is null ? throw new TaskCanceledException("The classifier did not answer.") : [finding];
    }
}
