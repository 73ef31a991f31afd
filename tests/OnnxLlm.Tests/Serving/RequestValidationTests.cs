using System.Net;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

public sealed class RequestValidationTests
{
    public static TheoryData<string, string, string> Bad => new()
    {
        // field, value, code
        { "temperature", "2.1", "invalid_value" },
        { "temperature", "\"1\"", "invalid_value" },
        { "temperature", "1e999", "invalid_value" },
        { "top_p", "-0.1", "invalid_value" },
        { "top_k", "1.5", "invalid_value" },
        { "min_p", "2", "invalid_value" },
        { "presence_penalty", "3", "invalid_value" },
        { "frequency_penalty", "-3", "invalid_value" },
        { "repetition_penalty", "0", "invalid_value" },
        { "n", "0", "invalid_value" },
        { "n", "9", "invalid_value" },
        { "max_tokens", "-1", "invalid_value" },
        { "max_tokens", "99999999999", "invalid_value" },
        { "stop", "\"\"", "invalid_value" },
        { "stop", "[1]", "invalid_value" },
        { "stop", "[\"a\",\"\"]", "invalid_value" },
        { "stop", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]", "invalid_value" },
        { "seed", "1.5", "invalid_value" },
        { "seed", "1e30", "invalid_value" },
        { "logit_bias", "[]", "invalid_value" },
        { "logit_bias", "{\"x\":1}", "invalid_value" },
        { "logit_bias", "{\"999999\":1}", "invalid_value" },
        { "logit_bias", "{\"1\":101}", "invalid_value" },
        { "stream", "1", "invalid_value" },
        { "stream_options", "true", "invalid_value" },
        { "stop_token_ids", "[-1]", "invalid_value" },
        { "min_tokens", "17", "invalid_value" },
        { "cache_salt", "1", "invalid_value" },
        { "structured_outputs", "{}", "invalid_value" },
        { "use_beam_search", "true", "unsupported_parameter" },
    };

    public static TheoryData<string, string, string> BadCompletions => new()
    {
        { "prompt", "{}", "invalid_value" },
        { "prompt", "[]", "invalid_value" },
        { "prompt", "[true]", "invalid_value" },
        { "prompt", "[1,\"a\"]", "invalid_value" },
        { "prompt", "[[1],[-1]]", "invalid_value" },
        { "prompt", "\"\\ud800\"", "invalid_value" },
        { "max_tokens", "0", "invalid_value" },
        { "logprobs", "21", "invalid_value" },
        { "suffix", "\"x\"", "unsupported_parameter" },
        { "best_of", "2", "unsupported_parameter" },
        { "echo", "\"yes\"", "invalid_value" },
    };

    public static TheoryData<string, string, string, string> BadChats => new()
    {
        // field, value, code, param
        { "messages", "[]", "invalid_value", "messages" },
        { "messages", "\"Hello\"", "invalid_value", "messages" },
        { "messages", "[1]", "invalid_value", "messages[0]" },
        { "messages", "[{\"role\":\"king\",\"content\":\"x\"}]", "invalid_value", "messages[0].role" },
        { "messages", "[{\"role\":\"user\"}]", "invalid_value", "messages[0].content" },
        { "messages", "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]", "unsupported_content", "messages[0].content[0]" },
        { "messages", "[{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[{}]}]", "invalid_value", "messages[0].tool_calls[0]" },
        { "messages", "[{\"role\":\"assistant\",\"content\":\"x\",\"function_call\":{\"name\":\"f\"}}]", "unsupported_parameter", "messages[0].function_call" },
        { "max_completion_tokens", "0", "invalid_value", "max_completion_tokens" },
        { "top_logprobs", "3", "invalid_value", "top_logprobs" },
        { "response_format", "{\"type\":\"xml\"}", "invalid_value", "response_format.type" },
        { "tools", "[{\"type\":\"function\"}]", "unsupported_parameter", "tools[0]" },
        { "tools", "[{\"type\":\"web_search\"}]", "unsupported_parameter", "tools[0]" },
        { "tools", "[{\"type\":\"function\",\"function\":{\"name\":\"no name\"}}]", "invalid_value", "tools[0].function.name" },
        { "tools", "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]", "invalid_value", "tools[0].function.parameters" },
        { "tools", "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"string\"}}}]", "invalid_value", "tools[0].function.parameters" },
        { "tools", "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", "invalid_value", "tools" },
        { "tool_choice", "\"required\"", "invalid_value", "tool_choice" },
        { "tool_choice", "\"often\"", "invalid_value", "tool_choice" },
        { "tool_choice", "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}", "invalid_value", "tool_choice" },
        { "functions", "[{}]", "unsupported_parameter", "functions" },
        { "modalities", "[\"audio\"]", "unsupported_parameter", "modalities" },
        { "chat_template_kwargs", "{\"thinking\":true}", "unsupported_parameter", "chat_template_kwargs" },
    };

    public static TheoryData<string> Tolerated =>
    [
        """{"no_such_field":{"a":[1]},"user":"me","store":true,"metadata":{},"service_tier":"auto","parallel_tool_calls":false}""",
        """{"stream_options":{"include_usage":true,"include_obfuscation":false}}""",
        """{"temperature":null,"top_p":null,"n":null,"stop":null,"seed":null,"logit_bias":null,"stream":null,"max_tokens":null,"logprobs":null}""",
        """{"max_tokens":16.0,"top_k":-1,"seed":-5,"n":1.0}""",
        """{"top_p":0,"temperature":2,"stop":["a","b","c","d","e"]}""",
        """{"logprobs":true}""",
        """{"tools":[{"type":"function"}],"tool_choice":"none"}""",
        """{"tools":[],"response_format":{"type":"text"},"modalities":["text"]}""",
        """{"max_tokens":3,"max_completion_tokens":2}""",
        """{"messages":[{"role":"developer","content":"x"},{"role":"user","name":"me","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}""",
    ];

    [Theory]
    [MemberData(nameof(Bad))]
    public async Task Field_Bad_IsNamed(string field, string value, string code)
    {
        await using var server = await TestServer.StartAsync();
        foreach (var path in new[] { "/v1/completions", "/chat/completions" })
            await RefusedAsync(server, path, field, value, code, field);
    }

    [Theory]
    [MemberData(nameof(BadCompletions))]
    public async Task CompletionField_Bad_IsNamed(string field, string value, string code)
    {
        await using var server = await TestServer.StartAsync();
        await RefusedAsync(server, "/v1/completions", field, value, code, field);
    }

    [Theory]
    [MemberData(nameof(BadChats))]
    public async Task ChatField_Bad_IsNamed(string field, string value, string code, string param)
    {
        await using var server = await TestServer.StartAsync();
        await RefusedAsync(server, "/v1/chat/completions", field, value, code, param);
    }

    [Theory]
    [MemberData(nameof(Tolerated))]
    public async Task Field_UnknownOrNullOrOdd_IsAccepted(string fields)
    {
        await using var server = await TestServer.StartAsync();
        var body = JsonNode.Parse(fields)!.AsObject();
        if (body["max_tokens"] is null) body["max_completion_tokens"] = 2;
        await server.ChatAsync(body);
    }

    [Theory]
    [InlineData("", "invalid_json")]
    [InlineData("{", "invalid_json")]
    [InlineData("[]", "invalid_json")]
    [InlineData("{\"model\":\"org/toy\",}", "invalid_json")]
    [InlineData("{}", "invalid_value")]
    [InlineData("{\"model\":7}", "invalid_value")]
    public async Task Body_NotARequest_Is400(string body, string code)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.SendAsync("/v1/completions", body);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(code, (string?)await ErrorAsync(response, "code"));
    }

    [Fact]
    public async Task ChatTemplate_Missing_IsExplained()
    {
        await using var server = await TestServer.StartAsync(template: null);
        var refusal = await server.ChatAsync([], HttpStatusCode.BadRequest);
        Assert.Equal("chat_template_missing", (string?)refusal["error"]!["code"]);
        Assert.Contains("/v1/completions", (string)refusal["error"]!["message"]!, StringComparison.Ordinal);
    }

    private static async Task RefusedAsync(TestServer server, string path, string field, string value, string code, string param)
    {
        var body = $$"""{"model":"org/toy","prompt":"x","messages":[{"role":"user","content":"x"}],"max_completion_tokens":16,"{{field}}":{{value}}}""";
        using var response = await server.SendAsync(path, body);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal((code, param, "invalid_request_error"), ((string?)await ErrorAsync(response, "code"), (string?)await ErrorAsync(response, "param"), (string?)await ErrorAsync(response, "type")));
    }

    private static async Task<JsonNode?> ErrorAsync(HttpResponseMessage response, string field) =>
        JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]![field];
}
