using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Tests.Serving;

public sealed class EngineChatClientTests
{
    [Fact]
    public async Task Answer_WithASeed_EqualsTheOneOverHttp()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { CacheBytes = 0 });
        using var client = new EngineChatClient(server.Service<ModelRegistry>().Default, () => 1);
        var overHttp = await server.ChatAsync(new() { ["seed"] = 5, ["max_tokens"] = 20, ["temperature"] = 0.7 });
        var answer = await client.GetResponseAsync("Hello", new ChatOptions { Seed = 5, MaxOutputTokens = 20, Temperature = 0.7f });
        Assert.Equal((string?)overHttp["choices"]![0]!["message"]!["content"], answer.Text);
        Assert.Equal((int)overHttp["usage"]!["completion_tokens"]!, answer.Usage!.OutputTokenCount);
    }

    [Fact]
    public async Task Answer_AskedForAsJson_IsJson()
    {
        await using var server = await TestServer.StartAsync();
        using var client = new EngineChatClient(server.Service<ModelRegistry>().Default, () => 1);
        var answer = await client.GetResponseAsync("Hello", new ChatOptions { ResponseFormat = ChatResponseFormat.Json, MaxOutputTokens = 40 });
        Assert.IsType<JsonObject>(JsonNode.Parse(answer.Text));
    }

    [Fact]
    public async Task Options_OutOfRange_AreNamed()
    {
        await using var server = await TestServer.StartAsync();
        using var client = new EngineChatClient(server.Service<ModelRegistry>().Default, () => 1);
        var mistake = await Assert.ThrowsAsync<ServingException>(() => client.GetResponseAsync("Hello", new ChatOptions { Temperature = 9 }));
        Assert.Contains("temperature", mistake.Message, StringComparison.Ordinal);
    }
}
