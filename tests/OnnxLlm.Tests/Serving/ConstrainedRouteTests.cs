using System.ClientModel;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;

namespace OnnxLlm.Tests.Serving;

/// <summary>Constraints as clients ask for them.</summary>
public sealed class ConstrainedRouteTests
{
    private const string Schema = """{"type":"object","properties":{"city":{"type":"string","maxLength":8},"warm":{"type":"boolean"}},"required":["city","warm"],"additionalProperties":false}""";

    [Fact]
    public async Task Sdk_AskingForASchema_GetsJsonThatFitsIt()
    {
        await using var server = await TestServer.StartAsync();
        var client = new ChatClient(TestServer.ModelId, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(server.Address, "/v1") });
        var options = new ChatCompletionOptions { ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("weather", BinaryData.FromString(Schema), jsonSchemaIsStrict: true), MaxOutputTokenCount = 60 };
        ChatCompletion answer = await client.CompleteChatAsync([new UserChatMessage("Hello")], options);
        using var json = JsonDocument.Parse(answer.Content[0].Text);
        Assert.Equal(["city", "warm"], json.RootElement.EnumerateObject().Select(property => property.Name));
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
    }

    [Theory]
    [InlineData("""{"response_format":{"type":"json_object"}}""")]
    [InlineData("""{"structured_outputs":{"regex":"\\{\"a\":[1-9]{2}\\}"}}""")]
    [InlineData("""{"guided_choice":["{}","{\"b\":1}"],"n":3}""")]
    [InlineData("""{"guided_json":{"type":"object"},"temperature":0}""")]
    public async Task Completion_Constrained_IsTheJsonAskedFor(string body)
    {
        await using var server = await TestServer.StartAsync();
        var answer = await server.CompleteAsync((JsonObject)JsonNode.Parse(body)!);
        foreach (var choice in answer["choices"]!.AsArray()) Assert.IsType<JsonObject>(JsonNode.Parse((string)choice!["text"]!));
    }

    /// <summary>Thousands of ways stay open after each letter, which shows only when it is asked what may follow. Those whose own fault it is not go on, and nothing is wrong with the model.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Constraint_ThatTakesTooMuchWork_EndsItsOwnAnswerOnly(bool isStream)
    {
        await using var server = await TestServer.StartAsync();
        var healthy = server.CompleteAsync(new() { ["max_tokens"] = 50 });
        using var response = await server.SendAsync("/v1/completions", $$"""{"model":"{{TestServer.ModelId}}","prompt":"x","guided_regex":"(a?b?c?d?e?){3000}","stream":{{(isStream ? "true" : "false")}}}""");
        Assert.Equal(isStream ? HttpStatusCode.OK : HttpStatusCode.BadRequest, response.StatusCode);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        var told = await lines.ReadLineAsync();
        while (told!.StartsWith(':') || told.Length == 0) told = await lines.ReadLineAsync();
        Assert.Contains("too many ways open", told, StringComparison.Ordinal);
        Assert.Contains("\"response_format\"", told, StringComparison.Ordinal);
        Assert.NotNull((await healthy)["choices"]);
        Assert.True((await server.Http.GetAsync("/v2/health/ready")).IsSuccessStatusCode);
    }

    [Theory]
    [InlineData("""{"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"integer","multipleOf":3}}}}""", "unsupported_schema")]
    [InlineData("""{"response_format":{"type":"json_schema","json_schema":{"name":"not a name","schema":{}}}}""", "invalid_value")]
    [InlineData("""{"response_format":{"type":"json_schema"}}""", "invalid_value")]
    [InlineData("""{"response_format":7}""", "invalid_value")]
    [InlineData("""{"guided_regex":"(?<=a)b"}""", "invalid_value")]
    [InlineData("""{"guided_choice":[]}""", "invalid_value")]
    [InlineData("""{"guided_json":{},"guided_regex":"a"}""", "invalid_value")]
    [InlineData("""{"guided_grammar":"root ::= x"}""", "unsupported_parameter")]
    public async Task Constraint_ThatCannotBeKept_Is400(string body, string code)
    {
        await using var server = await TestServer.StartAsync();
        var answer = await server.CompleteAsync((JsonObject)JsonNode.Parse(body)!, HttpStatusCode.BadRequest);
        Assert.Equal(code, (string?)answer["error"]!["code"]);
    }
}
