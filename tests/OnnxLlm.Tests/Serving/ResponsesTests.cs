#pragma warning disable OPENAI001 // the SDK's own name for a part that may still change
using System.ClientModel;
using System.Net;
using System.Text.Json.Nodes;
using OnnxLlm.Tests.Support;
using OpenAI.Responses;

namespace OnnxLlm.Tests.Serving;

/// <summary>The form in which newer clients of OpenAI ask.</summary>
public sealed class ResponsesTests
{
    private const string Route = "/v1/responses";
    private const string Called = "Well.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>";

    [Fact]
    public async Task Response_ToAText_IsAMessageWithUsage()
    {
        await using var server = await TestServer.StartAsync(Teller("Once upon a time."));
        var response = await server.PostAsync(Route, Body("""{"input":"Hello","temperature":0,"metadata":{"a":"b"}}"""));
        Assert.Equal(("response", "completed", TestServer.ModelId), ((string?)response["object"], (string?)response["status"], (string?)response["model"]));
        var message = Assert.Single(response["output"]!.AsArray())!;
        Assert.Equal(("message", "assistant", "completed"), ((string?)message["type"], (string?)message["role"], (string?)message["status"]));
        Assert.Equal(("output_text", "Once upon a time."), ((string?)message["content"]![0]!["type"], (string?)message["content"]![0]!["text"]));
        Assert.Equal((int)response["usage"]!["total_tokens"]!, (int)response["usage"]!["input_tokens"]! + (int)response["usage"]!["output_tokens"]!);
        Assert.Equal("b", (string?)response["metadata"]!["a"]);
        Assert.StartsWith("resp_", (string?)response["id"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"input":"Hello","temperature":0}""", false)]
    [InlineData("""{"input":"Hello","temperature":0,"max_output_tokens":3}""", false)]
    [InlineData("""{"input":"Hello","temperature":0,"tools":[{"type":"function","name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}]}""", true)]
    public async Task Stream_OfAResponse_TellsOfEachItemAndEndsWithTheWhole(string text, bool calls)
    {
        await using var server = await TestServer.StartAsync(Teller(calls ? Called : "Once upon a time."));
        var whole = await server.PostAsync(Route, Body(text));
        var streamed = Body(text);
        streamed["stream"] = true;
        using var answer = await server.SendAsync(Route, streamed.ToJsonString());
        string[] events = (await answer.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        JsonNode[] data = [.. events.Select(lines => JsonNode.Parse(lines.Split('\n')[1]["data: ".Length..])!)];
        Assert.All(events.Zip(data), happened => Assert.StartsWith($"event: {happened.Second["type"]}\ndata: ", happened.First, StringComparison.Ordinal));
        Assert.Equal(Enumerable.Range(0, data.Length), data.Select(happened => (int)happened["sequence_number"]!));
        Assert.Equal(["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta"], data.Take(5).Select(happened => (string?)happened["type"]));

        var last = data[^1]["response"]!;
        Assert.Equal($"response.{whole["status"]}", (string?)data[^1]["type"]);
        Assert.Equal(whole["output"]!.AsArray().Select(Said), last["output"]!.AsArray().Select(Said));
        Assert.Equal(last["output"]!.AsArray().Select(item => item!.ToJsonString()), data.Where(happened => (string?)happened["type"] == "response.output_item.done").Select(happened => happened["item"]!.ToJsonString()));
        for (var i = 0; i < last["output"]!.AsArray().Count; i++)
            Assert.Equal(Said(last["output"]![i]), string.Concat(data.Where(happened => (int?)happened["output_index"] == i).Select(happened => (string?)happened["delta"])));
        Assert.Equal(calls ? ["Well.", "{\"a\": 1}", "{\"a\": 2}"] : ["Once upon a time."], last["output"]!.AsArray().Select(Said).Select(said => text.Contains("max", StringComparison.Ordinal) ? "Once upon a time." : said));
        if (calls) Assert.Equal(2, last["output"]!.AsArray().Skip(1).Select(call => (string?)call!["call_id"]).Distinct().Count());
    }

    [Fact]
    public async Task Response_CutOff_SaysWhy()
    {
        await using var server = await TestServer.StartAsync(Teller("Once upon a time."));
        var response = await server.PostAsync(Route, Body("""{"input":"Hello","temperature":0,"max_output_tokens":3}"""));
        Assert.Equal(("incomplete", "max_output_tokens", 3), ((string?)response["status"], (string?)response["incomplete_details"]!["reason"], (int)response["usage"]!["output_tokens"]!));
    }

    /// <summary>The same conversation by both routes has the same prompt, and so the same answer.</summary>
    [Theory]
    [InlineData(
        """{"instructions":"Be brief.","input":[{"role":"user","content":"One?"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"One."}]},{"role":"user","content":[{"type":"input_text","text":"And "},{"type":"input_text","text":"two?"}]}]}""",
        """{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"One?"},{"role":"assistant","content":"One."},{"role":"user","content":"And two?"}]}""")]
    [InlineData(
        """{"input":[{"role":"user","content":"Add."},{"type":"reasoning","summary":[]},{"type":"function_call","call_id":"x","name":"add","arguments":"{\"a\": 1}"},{"type":"function_call","call_id":"y","name":"add","arguments":"{}"},{"type":"function_call_output","call_id":"x","output":"2"},{"type":"function_call_output","call_id":"y","output":"3"}]}""",
        """{"messages":[{"role":"user","content":"Add."},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"add","arguments":"{\"a\": 1}"}},{"type":"function","function":{"name":"add","arguments":"{}"}}]},{"role":"tool","content":"2"},{"role":"tool","content":"3"}]}""")]
    [InlineData(
        """{"input":"Weather?","text":{"format":{"type":"json_schema","name":"w","schema":{"type":"object","properties":{"warm":{"type":"boolean"}},"required":["warm"],"additionalProperties":false}}}}""",
        """{"messages":[{"role":"user","content":"Weather?"}],"response_format":{"type":"json_schema","json_schema":{"name":"w","schema":{"type":"object","properties":{"warm":{"type":"boolean"}},"required":["warm"],"additionalProperties":false}}}}""")]
    public async Task Response_AndChat_AreTheSameAnswer(string asResponse, string asChat)
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 2048));
        var (first, second) = (Body(asResponse), Body(asChat));
        (first["seed"], second["seed"], first["max_output_tokens"], second["max_tokens"]) = (7, 7, 20, 20);
        var (response, chat) = (await server.PostAsync(Route, first), await server.ChatAsync(second));
        Assert.Equal((string?)chat["choices"]![0]!["message"]!["content"], Said(response["output"]![0]));
        Assert.Equal((int)chat["usage"]!["prompt_tokens"]!, (int)response["usage"]!["input_tokens"]!);
    }

    [Theory]
    [InlineData("""{"input":[]}""", "input", "invalid_value")]
    [InlineData("""{"input":7}""", "input", "invalid_value")]
    [InlineData("""{}""", "input", "invalid_value")]
    [InlineData("""{"input":[{"type":"item_reference","id":"x"}]}""", "input[0]", "unsupported_content")]
    [InlineData("""{"input":[7]}""", "input[0]", "unsupported_content")]
    [InlineData("""{"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]}""", "input[0].content[0]", "unsupported_content")]
    [InlineData("""{"input":[{"role":"king","content":"x"}]}""", "input[0].role", "invalid_value")]
    [InlineData("""{"input":"x","previous_response_id":"resp_1"}""", "previous_response_id", "unsupported_parameter")]
    [InlineData("""{"input":"x","background":true}""", "background", "unsupported_parameter")]
    [InlineData("""{"input":"x","n":2}""", "n", "invalid_value")]
    [InlineData("""{"input":"x","max_output_tokens":0}""", "max_output_tokens", "invalid_value")]
    [InlineData("""{"input":"x","text":{"format":{"type":"xml"}}}""", "text.format.type", "invalid_value")]
    [InlineData("""{"input":"x","text":[]}""", "text", "invalid_value")]
    [InlineData("""{"input":"x","tools":[{"type":"web_search"}]}""", "tools[0]", "unsupported_parameter")]
    [InlineData("""{"input":"x","tools":7}""", "tools", "invalid_value")]
    [InlineData("""{"input":"x","tool_choice":"required"}""", "tool_choice", "invalid_value")]
    [InlineData("""{"input":"\ud800"}""", "input", "invalid_value")]
    [InlineData("""{"input":"x","metadata":{"a":"\ud800"}}""", null, "invalid_json")]
    [InlineData("""{"input":[{"role":"user","content":"\ud800"}]}""", null, "invalid_json")]
    public async Task Body_ThatIsWrong_IsNamed(string body, string? param, string code)
    {
        await using var server = await TestServer.StartAsync();
        using var answer = await server.SendAsync(Route, body == "{}" ? $$"""{"model":"{{TestServer.ModelId}}"}""" : $$"""{"model":"{{TestServer.ModelId}}",{{body[1..]}}""");
        var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((HttpStatusCode.BadRequest, param, code), (answer.StatusCode, (string?)error["param"], (string?)error["code"]));
    }

    [Fact]
    public async Task Sdk_AsksWholeAndStreamed_AndReadsCalls()
    {
        await using var server = await TestServer.StartAsync(Teller("Once upon a time."));
        var options = Options("Hello");
        ResponseResult response = await Client(server).CreateResponseAsync(options);
        Assert.Equal(("Once upon a time.", ResponseStatus.Completed), (response.GetOutputText(), response.Status));
        Assert.Equal(response.Usage.InputTokenCount + response.Usage.OutputTokenCount, response.Usage.TotalTokenCount);

        var (text, ended) = ("", 0);
        options.StreamingEnabled = true;
        await foreach (var update in await Client(server).CreateResponseStreamingAsync(options))
        {
            if (update is StreamingResponseOutputTextDeltaUpdate more) text += more.Delta;
            if (update is StreamingResponseCompletedUpdate completed) ended += completed.Response.GetOutputText() == text ? 1 : 100;
        }

        Assert.Equal(("Once upon a time.", 1), (text, ended));
    }

    [Fact]
    public async Task Sdk_WithAFunction_GetsTheCallAndTellsTheResult()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 4096));
        var options = Options("One more?");
        options.Tools.Add(ResponseTool.CreateFunctionTool("add", BinaryData.FromString("""{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}"""), strictModeEnabled: true, functionDescription: "Adds."));
        options.ToolChoice = ResponseToolChoice.CreateRequiredChoice();
        options.ParallelToolCallsEnabled = false;
        ResponseResult response = await Client(server).CreateResponseAsync(options);
        var call = Assert.IsType<FunctionCallResponseItem>(Assert.Single(response.OutputItems));
        Assert.Equal(("add", true), (call.FunctionName, JsonNode.Parse(call.FunctionArguments)!["a"] is JsonValue));

        options.InputItems.Add(call);
        options.InputItems.Add(ResponseItem.CreateFunctionCallOutputItem(call.CallId, "2"));
        options.ToolChoice = ResponseToolChoice.CreateNoneChoice();
        options.MaxOutputTokenCount = 4;
        ResponseResult next = await Client(server).CreateResponseAsync(options);
        Assert.IsType<MessageResponseItem>(Assert.Single(next.OutputItems), exactMatch: false);
        Assert.InRange(next.Usage.OutputTokenCount, 1, 4);
    }

    [Fact]
    public async Task Sdk_WithALimit_LearnsThatTheAnswerIsIncomplete()
    {
        await using var server = await TestServer.StartAsync(Teller("Once upon a time."));
        var options = Options("Hello");
        options.MaxOutputTokenCount = 3;
        ResponseResult response = await Client(server).CreateResponseAsync(options);
        Assert.Equal(ResponseIncompleteStatusReason.MaxOutputTokens, response.IncompleteStatusDetails.Reason);
    }

    /// <summary>What an item says: its text, or its arguments.</summary>
    private static string Said(JsonNode? item) => (string?)item!["arguments"] ?? (string)item["content"]![0]!["text"]!;

    private static JsonObject Body(string json)
    {
        var body = JsonNode.Parse(json)!.AsObject();
        body["model"] = TestServer.ModelId;
        return body;
    }

    private static CreateResponseOptions Options(string text)
    {
        var options = new CreateResponseOptions { Model = TestServer.ModelId, Temperature = 0 };
        options.InputItems.Add(ResponseItem.CreateUserMessageItem(text));
        return options;
    }

    private static ResponsesClient Client(TestServer server) => new(new ApiKeyCredential("any"), new ResponsesClientOptions { Endpoint = new Uri(server.Address, "/v1") });

    private static ParrotModel Teller(string answer) =>
        new(TestServer.Tokenizer.Encode($"<|im_end|>\n<|im_start|>assistant\n{answer}", allowSpecial: true), TestServer.Tokenizer.Special.Eos!.Value, TestServer.Tokenizer.VocabularySize, maxLength: 4096);
}
