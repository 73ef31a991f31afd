using System.Text.Json.Nodes;
using OnnxLlm.Serving.Api;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Streams byte by byte, with the clock standing still and names that are counted.</summary>
public sealed class SseGoldenTests
{
    private const string ChatHead = """data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1763707200,"model":"org/toy","system_fingerprint":"fp_000000000000","choices":[""";
    private const string TextHead = """data: {"id":"cmpl-0","object":"text_completion","created":1763707200,"model":"org/toy","system_fingerprint":"fp_000000000000","choices":[""";
    private const string UsageTail = """
        "prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}
        """;

    [Fact]
    public async Task ChatStream_WithUsage_IsTheseBytes()
    {
        await using var server = await StartAsync("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nü <&🎈");
        var bytes = await ReadAsync(server, "/v1/chat/completions", new JsonObject
        {
            ["messages"] = TestServer.Messages("Hi"),
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
        });

        var prompt = TestServer.Tokenizer.Encode("user\nHi").Length + TestServer.Tokenizer.Encode("\n").Length + TestServer.Tokenizer.Encode("assistant\n").Length + 3;
        var answer = TestServer.Tokenizer.Encode("ü <&🎈").Length;
        Assert.Equal(
            Chat("""{"role":"assistant","content":""}""", "null", ""","usage":null""")
            + Chat("""{"content":"ü"}""", "null", ""","usage":null""")
            + Chat("""{"content":" "}""", "null", ""","usage":null""")
            + Chat("""{"content":"<"}""", "null", ""","usage":null""")
            + Chat("""{"content":"&"}""", "null", ""","usage":null""")
            + Chat("""{"content":"\uD83C\uDF88"}""", "null", ""","usage":null""")
            + Chat("{}", "\"stop\"", ""","usage":null""")
            + $"{ChatHead}],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{answer},\"total_tokens\":{prompt + answer},{UsageTail}}}\n\n"
            + "data: [DONE]\n\n",
            bytes);
    }

    [Fact]
    public async Task CompletionStream_WithAStopSequence_IsTheseBytes()
    {
        await using var server = await StartAsync("1232345");
        var bytes = await ReadAsync(server, "/v1/completions", new JsonObject { ["prompt"] = "1", ["stop"] = "234" });
        Assert.Equal(Text("23", "null") + Text("", "\"stop\"") + "data: [DONE]\n\n", bytes);
    }

    [Fact]
    public async Task CompletionStream_OfTwoChoices_HasOneChoicePerPiece()
    {
        await using var server = await StartAsync("12");
        var bytes = await ReadAsync(server, "/v1/completions", new JsonObject { ["prompt"] = "1", ["n"] = 2 });
        string[] events = [.. bytes.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)];
        string[] expected = [.. (Text("2", "null") + Text("", "\"stop\"") + Text("2", "null", 1) + Text("", "\"stop\"", 1) + "data: [DONE]\n\n")
            .Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)];
        Assert.Equal(expected, events);
        Assert.EndsWith("data: [DONE]\n\n", bytes, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_CutInsideACharacter_ShowsAReplacement()
    {
        await using var server = await StartAsync("1🎈");
        var bytes = await ReadAsync(server, "/v1/completions", new JsonObject { ["prompt"] = "1", ["max_tokens"] = 2 });
        Assert.Equal(Text("\uFFFD", "null") + Text("", "\"length\"") + "data: [DONE]\n\n", bytes);
    }

    [Fact]
    public async Task Stream_WhenTheEngineFails_HasAnErrorAndNoDone()
    {
        await using var server = await StartAsync("12345");
        server.Model.BeforePass = () => { if (server.Model.DecodePasses == 2) throw new InvalidOperationException("injected"); };
        using var response = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"1","temperature":0,"stream":true}""", ("x-request-id", "mine"));
        await using var stream = await response.Content.ReadAsStreamAsync();
        var read = new List<byte>();
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            var buffer = new byte[4096];
            while (await stream.ReadAsync(buffer) is var count and > 0) read.AddRange(buffer[..count]);
        });

        var text = System.Text.Encoding.UTF8.GetString([.. read]);
        Assert.EndsWith("""data: {"error":{"message":"The server failed to answer; its log says why under request mine.","type":"server_error","param":null,"code":"internal_error"}}""" + "\n\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
    }

    private static Task<TestServer> StartAsync(string text)
    {
        var known = TestServer.Tokenizer.Encode(text, allowSpecial: true);
        var model = new ParrotModel(known, TestServer.Tokenizer.Special.Eos!.Value, TestServer.Tokenizer.VocabularySize);
        var id = 0;
        return TestServer.StartAsync(model, time: new ManualTime(), entropy: new Entropy(() => $"{id++}", () => 1));
    }

    private static async Task<string> ReadAsync(TestServer server, string path, JsonObject body)
    {
        (body["model"], body["temperature"], body["stream"]) = (TestServer.ModelId, 0, true);
        using var response = await server.SendAsync(path, body.ToJsonString(), ("x-request-id", "mine"));
        Assert.Equal("text/event-stream; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
        Assert.Equal("no", Assert.Single(response.Headers.GetValues("X-Accel-Buffering")));
        Assert.Equal("mine", Assert.Single(response.Headers.GetValues("x-request-id")));
        return await response.Content.ReadAsStringAsync();
    }

    private static string Chat(string delta, string finish, string usage) =>
        $$"""{{ChatHead}}{"index":0,"delta":{{delta}},"logprobs":null,"finish_reason":{{finish}}}]{{usage}}}""" + "\n\n";

    private static string Text(string text, string finish, int index = 0) =>
        $$"""{{TextHead}}{"text":"{{text}}","index":{{index}},"logprobs":null,"finish_reason":{{finish}}}]}""" + "\n\n";
}
