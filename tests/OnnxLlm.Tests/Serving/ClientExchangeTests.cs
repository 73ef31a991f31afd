using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

/// <summary>
/// Requests in the form in which clients without a .NET or JavaScript package send them, header by header and field by field as their documentation and public behaviour have it,
/// and of the answers what these clients read.
/// </summary>
public sealed class ClientExchangeTests
{
    private const string Story = "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nOnce upon a time there was a small server. The stop is a word.";

    /// <summary>The OpenAI package for Python, on which LangChain stands.</summary>
    private const string Python = """
        Accept: application/json
        User-Agent: OpenAI/Python 1.109.1
        X-Stainless-Lang: python
        X-Stainless-Package-Version: 1.109.1
        X-Stainless-OS: Linux
        X-Stainless-Arch: x64
        X-Stainless-Runtime: CPython
        X-Stainless-Runtime-Version: 3.12.3
        X-Stainless-Async: false
        x-stainless-retry-count: 0
        x-stainless-read-timeout: 600
        Authorization: Bearer none
        """;

    private const string JavaScript = """
        Accept: application/json
        User-Agent: OpenAI/JS 5.12.2
        X-Stainless-Retry-Count: 0
        X-Stainless-Lang: js
        X-Stainless-Package-Version: 5.12.2
        X-Stainless-OS: Linux
        X-Stainless-Arch: x64
        X-Stainless-Runtime: node
        X-Stainless-Runtime-Version: v20.19.2
        Authorization: Bearer none
        """;

    private const string Requests = """
        User-Agent: python-requests/2.32.5
        Accept-Encoding: gzip, deflate
        Accept: */*
        Connection: keep-alive
        Authorization: Bearer EMPTY
        """;

    [Theory]
    [InlineData("""{"messages":[{"content":"You are helpful.","role":"system"},{"content":"Hello","role":"user"}],"model":"org/toy","max_completion_tokens":64,"temperature":0.0}""")]
    [InlineData("""{"messages":[{"content":"You are helpful.","role":"system"},{"content":"Hello","role":"user"}],"model":"org/toy","max_tokens":64,"n":1,"stream":false,"temperature":0.0}""")]
    [InlineData("""{"messages":[{"content":"You are helpful.","role":"system"},{"content":[{"type":"text","text":"Hello"}],"role":"user","name":null}],"model":"org/toy","logprobs":true,"seed":7,"temperature":0.0,"top_p":0.9,"stop":["No such text"]}""")]
    public async Task LangChain_Chat_IsAnswered(string body)
    {
        await using var server = await TestServer.StartAsync(Teller());
        var answer = await AskAsync(server, "/v1/chat/completions", Python, body);
        Assert.Equal(("chat.completion", "org/toy"), ((string?)answer["object"], (string?)answer["model"]));
        var choice = Assert.Single(answer["choices"]!.AsArray())!;
        Assert.Equal(("assistant", "Once upon a time there was a small server. The stop is a word.", "stop"), ((string?)choice["message"]!["role"], (string?)choice["message"]!["content"], (string?)choice["finish_reason"]));
        Assert.Equal(["completion_tokens", "prompt_tokens", "total_tokens"], answer["usage"]!.AsObject().Where(count => count.Value is JsonValue).Select(count => count.Key).Order());
        Assert.StartsWith("fp_", (string?)answer["system_fingerprint"], StringComparison.Ordinal);
    }

    /// <summary>LangChain for Python leaves the options out for addresses of others; LangChain for JavaScript always sends them.</summary>
    [Theory]
    [InlineData(Python, """{"messages":[{"content":"You are helpful.","role":"system"},{"content":"Hello","role":"user"}],"model":"org/toy","stream":true,"temperature":0.0}""", false)]
    [InlineData(Python, """{"messages":[{"content":"You are helpful.","role":"system"},{"content":"Hello","role":"user"}],"model":"org/toy","stream":true,"stream_options":{"include_usage":true},"temperature":0.0}""", true)]
    [InlineData(JavaScript, """{"model":"org/toy","temperature":0,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"Hello"}]}""", true)]
    [InlineData(JavaScript, """{"model":"org/toy","temperature":0,"top_p":1,"frequency_penalty":0,"presence_penalty":0,"n":1,"stream":true,"messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"Hello"}]}""", false)]
    public async Task LangChain_ChatStreamed_IsAnswered(string headers, string body, bool tellsUsage)
    {
        await using var server = await TestServer.StartAsync(Teller());
        using var response = await SendAsync(server, HttpMethod.Post, "/v1/chat/completions", headers, body);
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (response.StatusCode, response.Content.Headers.ContentType!.MediaType));
        string[] events = [.. (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line["data: ".Length..])];
        Assert.Equal("[DONE]", events[^1]);
        JsonNode[] chunks = [.. events[..^1].Select(text => JsonNode.Parse(text)!)];
        var choices = chunks.SelectMany(chunk => chunk["choices"]!.AsArray()).ToArray();
        Assert.Equal("assistant", (string?)choices[0]!["delta"]!["role"]);
        Assert.Equal("Once upon a time there was a small server. The stop is a word.", string.Concat(choices.Select(choice => (string?)choice!["delta"]!["content"])));
        Assert.Equal("stop", (string?)choices[^1]!["finish_reason"]);
        Assert.All(choices[..^1], choice => Assert.Null(choice!["finish_reason"]));
        Assert.Equal(tellsUsage ? 1 : 0, chunks.Count(chunk => chunk["usage"] is JsonObject));
        if (tellsUsage) Assert.Empty(chunks[^1]["choices"]!.AsArray());
    }

    /// <summary>What <c>with_structured_output</c> makes of a class.</summary>
    [Fact]
    public async Task LangChain_StructuredOutput_FitsTheClass()
    {
        await using var server = await TestServer.StartAsync();
        const string Body = """
            {"messages":[{"content":"Hello","role":"user"}],"model":"org/toy","max_completion_tokens":120,"seed":3,"response_format":{"type":"json_schema","json_schema":{"name":"Weather","description":"How it is outside.",
            "schema":{"description":"How it is outside.","properties":{"city":{"description":"Where","maxLength":9,"title":"City","type":"string"},"warm":{"anyOf":[{"type":"boolean"},{"type":"null"}],"title":"Warm"}},
            "required":["city","warm"],"title":"Weather","type":"object","additionalProperties":false},"strict":true}}}
            """;
        var answer = await AskAsync(server, "/v1/chat/completions", Python, Body);
        var weather = JsonNode.Parse((string)answer["choices"]![0]!["message"]!["content"]!)!.AsObject();
        Assert.Equal(["city", "warm"], weather.Select(member => member.Key));
        Assert.Null(answer["choices"]![0]!["message"]!["refusal"]);
    }

    /// <summary>What <c>bind_tools</c> sends, with a choice of tool.</summary>
    [Fact]
    public async Task LangChain_Tools_AreCalled()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 4096));
        const string Body = """
            {"messages":[{"content":"Hello","role":"user"}],"model":"org/toy","tools":[{"type":"function","function":{"name":"add","description":"Adds.","parameters":{"properties":{"a":{"type":"integer"}},"required":["a"],"type":"object"}}}],"parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"add"}}}
            """;
        var choice = (await AskAsync(server, "/v1/chat/completions", Python, Body))["choices"]![0]!;
        var call = Assert.Single(choice["message"]!["tool_calls"]!.AsArray())!;
        Assert.Equal(("tool_calls", "function", "add"), ((string?)choice["finish_reason"], (string?)call["type"], (string?)call["function"]!["name"]));
        Assert.Equal(["a"], JsonNode.Parse((string)call["function"]!["arguments"]!)!.AsObject().Select(member => member.Key));
    }

    /// <summary>The class for completions sends several prompts together, and everything that it knows as null.</summary>
    [Fact]
    public async Task LangChain_Completions_ComeInTheOrderOfTheirPrompts()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("Once upon a time there was a small server. The stop is a word."));
        const string Body = """{"model":"org/toy","prompt":["Once upon","The stop"],"frequency_penalty":0,"logprobs":null,"max_tokens":256,"n":1,"presence_penalty":0,"seed":null,"temperature":0.0,"top_p":1,"stop":["server"]}""";
        var answer = await AskAsync(server, "/v1/completions", Python, Body.Replace("256", "64", StringComparison.Ordinal));
        Assert.Equal("text_completion", (string?)answer["object"]);
        Assert.Equal([(0, " a time there was a small ", "stop"), (1, " is a word.", "stop")], answer["choices"]!.AsArray().Select(choice => ((int)choice!["index"]!, (string)choice["text"]!, (string)choice["finish_reason"]!)));
        Assert.All(answer["choices"]!.AsArray(), choice => Assert.Null(choice!["logprobs"]));
    }

    /// <summary>With <c>check_embedding_ctx_length=False</c>; otherwise the client would send tokens of a tokenizer that is not ours.</summary>
    [Fact]
    public async Task LangChain_Embeddings_AreFloatsInBase64()
    {
        await using var server = await TestServer.StartAsync();
        var answer = await AskAsync(server, "/v1/embeddings", Python, """{"input":["Once upon","a time"],"model":"org/toy","encoding_format":"base64"}""");
        Assert.Equal([0, 1], answer["data"]!.AsArray().Select(item => (int)item!["index"]!));
        foreach (var item in answer["data"]!.AsArray())
        {
            var bytes = Convert.FromBase64String((string)item!["embedding"]!);
            var vector = Enumerable.Range(0, bytes.Length / 4).Select(i => BitConverter.ToSingle(bytes, 4 * i)).ToArray();
            Assert.Equal(server.Engine.Width, vector.Length);
            Assert.Equal(1, vector.Sum(x => x * x), 1e-5);
        }
    }

    /// <summary>The harness scores by an echo of tokens, and tells by equality of numbers whether the model would have said the same.</summary>
    [Fact]
    public async Task Harness_LogLikelihood_IsThatOfTheContinuation()
    {
        await using var server = await TestServer.StartAsync();
        var (likely, unlikely) = (Continued([5, 9, 2, 7], 3), new[] { 40, 41, 42, 43 });
        var body = $$"""{"model":"org/toy","prompt":[[{{string.Join(", ", likely)}}],[{{string.Join(", ", unlikely)}}]],"temperature":0,"max_tokens":1,"logprobs":1,"seed":1234,"echo":true}""";
        var choices = (await AskAsync(server, "/v1/completions", Requests, body))["choices"]!.AsArray().OrderBy(choice => (int)choice!["index"]!).ToArray();
        foreach (var (choice, prompt, context, isGreedy) in new[] { (choices[0], likely, 4, true), (choices[1], unlikely, 2, false) })
        {
            var scores = choice!["logprobs"]!;
            var own = scores["token_logprobs"]!.AsArray().Take(context..^1).Select(score => (double)score!).ToArray();
            var best = scores["top_logprobs"]!.AsArray().Take(context..^1).Select(top => top!.AsObject().Max(pair => (double)pair.Value!)).ToArray();
            Assert.Equal(isGreedy, own.SequenceEqual(best));
            Assert.Equal(Enumerable.Range(context, prompt.Length - context).Sum(i => LogProb(prompt[..i], prompt[i])), own.Sum(), 1e-5);
        }
    }

    [Theory]
    [InlineData("/v1/completions", """{"prompt":"Once upon","model":"org/toy","max_tokens":64,"temperature":0,"stop":["\n\n","server"],"seed":1234}""", "text", " a time there was a small ")]
    [InlineData("/v1/completions", """{"prompt":["Once upon"],"model":"org/toy","max_tokens":64,"temperature":0.0,"stop":["server"],"seed":1234}""", "text", " a time there was a small ")]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"system","content":"You are helpful.","type":"text"},{"role":"user","content":"Hello","type":"text"}],"model":"org/toy","max_tokens":64,"temperature":0,"stop":["\n\n","server"],"seed":1234}""", "message", "Once upon a time there was a small ")]
    public async Task Harness_GenerateUntil_StopsThere(string path, string body, string field, string expected)
    {
        await using var server = await TestServer.StartAsync(Teller());
        var answer = await AskAsync(server, path, Requests, body);
        var said = answer["choices"]![0]![field]!;
        Assert.Equal(expected, (string?)(said is JsonObject message ? message["content"] : said));
    }

    /// <summary>With <c>tokenizer_backend=remote</c>.</summary>
    [Fact]
    public async Task Harness_RemoteTokenizer_GoesThereAndBack()
    {
        await using var server = await TestServer.StartAsync();
        using var info = await SendAsync(server, HttpMethod.Get, "/tokenizer_info", Requests, null);
        var eos = JsonNode.Parse(await info.Content.ReadAsStringAsync())!["eos_token"];
        Assert.NotEmpty((string)eos!);
        var tokens = (await AskAsync(server, "/tokenize", Requests, """{"prompt":"Once upon a time","add_special_tokens":false}"""))["tokens"]!;
        Assert.Equal(TestServer.Tokenizer.Encode("Once upon a time"), tokens.AsArray().Select(token => (int)token!));
        Assert.Equal("Once upon a time", (string?)(await AskAsync(server, "/detokenize", Requests, $$"""{"tokens":{{tokens.ToJsonString()}}}"""))["prompt"]);
    }

    private static Support.ParrotModel Teller() => new(TestServer.Tokenizer.Encode(Story, allowSpecial: true), TestServer.Tokenizer.Special.Eos!.Value, TestServer.Tokenizer.VocabularySize);

    /// <summary>A text and the tokens that the model thinks likeliest behind it.</summary>
    private static int[] Continued(int[] text, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var scores = Scores(text);
            text = [.. text, Array.IndexOf(scores, scores.Max())];
        }

        return text;
    }

    private static double LogProb(int[] text, int next)
    {
        var scores = Scores(text);
        return scores[next] - Math.Log(scores.Sum(score => Math.Exp(score)));
    }

    private static float[] Scores(int[] text)
    {
        using var model = TestServer.Noise(slots: 1);
        return model.Prefill(0, text, 0).ToArray();
    }

    private static async Task<JsonNode> AskAsync(TestServer server, string path, string headers, string body, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var response = await SendAsync(server, HttpMethod.Post, path, headers, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{response.StatusCode}: {text}");
        return JsonNode.Parse(text)!;
    }

    private static Task<HttpResponseMessage> SendAsync(TestServer server, HttpMethod method, string path, string headers, string? body)
    {
        var request = new HttpRequestMessage(method, path);
        // As these clients write it: without a character set.
        if (body is not null) request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = new("application/json") } };
        foreach (var line in headers.Split('\n', StringSplitOptions.TrimEntries))
            Assert.True(request.Headers.TryAddWithoutValidation(line[..line.IndexOf(':', StringComparison.Ordinal)], line[(line.IndexOf(':', StringComparison.Ordinal) + 2)..]));
        return server.Http.SendAsync(request);
    }
}
