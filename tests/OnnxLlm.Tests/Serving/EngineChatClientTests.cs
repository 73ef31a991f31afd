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

    [Fact]
    public async Task Package_OpenedByAProgram_AnswersAsTheServerDoes()
    {
        using var package = new ServedPackage();
        using var client = PackagedModel.OpenChat(package.Folder, "plain", slots: 2, threads: 1);
        var options = new ChatOptions { Seed = 5, MaxOutputTokens = 8 };
        var (first, again) = (await client.GetResponseAsync("Hello", options), await client.GetResponseAsync("Hello there", options));
        await using var server = await TestServer.StartAsync(more: [new ModelSource("real", () => ModelLoader.Load(new() { Model = package.Folder, Name = "real", ChatTemplate = "plain", Threads = 1 }), () => "")]);
        var overHttp = await server.ChatAsync(new() { ["model"] = "real", ["seed"] = 5, ["max_tokens"] = 8 });
        Assert.Equal((string?)overHttp["choices"]![0]!["message"]!["content"], first.Text);
        Assert.Equal((0L, (int)overHttp["usage"]!["prompt_tokens"]!), (first.Usage!.CachedInputTokenCount, first.Usage.InputTokenCount));
        Assert.InRange(again.Usage!.CachedInputTokenCount ?? 0, 0, again.Usage.InputTokenCount ?? 0);
    }

    [Fact]
    public void Package_ThatIsNone_IsOneClearLine() =>
        Assert.Contains("no/such", Assert.Throws<ServingException>(() => PackagedModel.OpenChat("no/such")).Message, StringComparison.Ordinal);

    [Fact]
    public async Task CachedTokens_OfAConversationThatGoesOn_AreTold()
    {
        await using var server = await TestServer.StartAsync();
        using var client = new EngineChatClient(server.Service<ModelRegistry>().Default, () => 1);
        var text = string.Concat(Enumerable.Repeat("Once upon a time. ", 5));
        Assert.Equal(0, (await client.GetResponseAsync(text, new ChatOptions { MaxOutputTokens = 2 })).Usage!.CachedInputTokenCount);
        Assert.True((await client.GetResponseAsync(text + "More.", new ChatOptions { MaxOutputTokens = 2 })).Usage!.CachedInputTokenCount > 16);
    }

    [Theory]
    [InlineData("tools")]
    [InlineData("content")]
    public async Task WhatTheModelCannotDo_IsRefusedAsOverHttp(string what)
    {
        await using var server = await TestServer.StartAsync();
        using var client = new EngineChatClient(server.Service<ModelRegistry>().Default, () => 1);
        var message = new Microsoft.Extensions.AI.ChatMessage(ChatRole.User, [new TextContent("Look:"), .. what == "content" ? [new DataContent(new byte[] { 1 }, "image/png")] : Array.Empty<AIContent>()]);
        var options = what == "tools" ? new ChatOptions { Tools = [new HostedCodeInterpreterTool()] } : null;
        Assert.Contains(what, (await Assert.ThrowsAsync<ServingException>(() => client.GetResponseAsync([message], options))).Message, StringComparison.Ordinal);
    }

    /// <summary>A function of this program is called with what the model wrote, and the model is told what it gave.</summary>
    [Fact]
    public async Task Function_ThatMustBeCalled_IsCalledAndItsResultTold()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 4096));
        using var client = new EngineChatClient(server.Service<ModelRegistry>().Default, () => 1);
        var add = AIFunctionFactory.Create((int a, int b) => a + b, "add", "Adds.");
        var options = new ChatOptions { Tools = [add], ToolMode = ChatToolMode.RequireSpecific("add"), Seed = 2 };
        List<Microsoft.Extensions.AI.ChatMessage> talk = [new(ChatRole.User, "One and one?")];
        var answer = await client.GetResponseAsync(talk, options);
        var call = Assert.Single(answer.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
        Assert.Equal(("add", ChatFinishReason.ToolCalls), (call.Name, answer.FinishReason));
        Assert.Equal(["a", "b"], call.Arguments!.Keys.Order());
        Assert.Null(call.Exception);

        talk.AddRange(answer.Messages);
        talk.Add(new(ChatRole.Tool, [new FunctionResultContent(call.CallId, 2)]));
        var next = await client.GetResponseAsync(talk, new ChatOptions { Tools = [add], ToolMode = ChatToolMode.None, MaxOutputTokens = 3 });
        Assert.Empty(next.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
    }

    [Fact]
    public async Task Tools_NoneOfWhichMayBeCalled_AreLeftOut()
    {
        await using var server = await TestServer.StartAsync();
        using var client = new EngineChatClient(server.Service<ModelRegistry>().Default, () => 1);
        var options = new ChatOptions { Tools = [new HostedCodeInterpreterTool()], ToolMode = ChatToolMode.None, MaxOutputTokens = 2 };
        Assert.NotNull((await client.GetResponseAsync("Hello", options)).Usage);
    }
}
