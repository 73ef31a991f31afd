using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OnnxLlm.Serving.Api;
using OnnxLlm.Tests.Support;
using OpenAI;
using OpenAI.Chat;

namespace OnnxLlm.Tests.Serving;

/// <summary>What .NET applications speak to a model through, against the server, over a real socket: Microsoft.Extensions.AI and Semantic Kernel.</summary>
public sealed class DotNetClientTests
{
    private const string Said = "Once upon a time there was a small server. The stop is a word.";
    private const string Story = $"<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n{Said}";

    [Fact]
    public async Task ChatClient_HasTextReasonAndUsage()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot(Story));
        using var client = ChatClient(server);
        var answer = await client.GetResponseAsync("Hello", new ChatOptions { Temperature = 0 });
        Assert.Equal((Said, Microsoft.Extensions.AI.ChatFinishReason.Stop), (answer.Text, answer.FinishReason));
        Assert.Equal(TestServer.Tokenizer.Encode(Said).Length, answer.Usage!.OutputTokenCount);
    }

    [Fact]
    public async Task ChatClient_Streams_WhatItGivesAsAWhole()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { CacheBytes = 0 });
        using var client = ChatClient(server);
        var options = new ChatOptions { Temperature = 0.8f, Seed = 3, MaxOutputTokens = 30 };
        var whole = await client.GetResponseAsync("Hello", options);
        var streamed = await client.GetStreamingResponseAsync("Hello", options).ToChatResponseAsync();
        Assert.Equal((whole.Text, whole.FinishReason, whole.Usage!.TotalTokenCount), (streamed.Text, streamed.FinishReason, streamed.Usage!.TotalTokenCount));
    }

    /// <summary>The schema is made from the type by the library, which also reads the answer.</summary>
    [Fact]
    public async Task ChatClient_AskedForAType_GetsOne()
    {
        await using var server = await TestServer.StartAsync();
        using var client = ChatClient(server);
        var answer = await client.GetResponseAsync<Light>("Hello", new ChatOptions { Temperature = 0, MaxOutputTokens = 100 });
        Assert.True(answer.TryGetResult(out var light), answer.Text);
        Assert.True(Enum.IsDefined(light!.Colour));
    }

    [Fact]
    public async Task EmbeddingGenerator_GivesUnitVectors()
    {
        await using var server = await TestServer.StartAsync();
        using var generator = Client(server).GetEmbeddingClient(TestServer.ModelId).AsIEmbeddingGenerator();
        var vectors = await generator.GenerateAsync(["Hello", "Once upon a time"]);
        Assert.Equal(2, vectors.Count);
        Assert.All(vectors, vector => Assert.Equal(1, vector.Vector.ToArray().Sum(x => x * x), 1e-5));
    }

    [Fact]
    public async Task SemanticKernel_AnswersStreamsAndRemembers()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot(Story));
        var chat = Kernel(server).GetRequiredService<IChatCompletionService>();
        var history = new ChatHistory();
        history.AddUserMessage("Hello");
        var settings = new OpenAIPromptExecutionSettings { Temperature = 0 };
        var answer = await chat.GetChatMessageContentAsync(history, settings);
        Assert.Equal((Said, AuthorRole.Assistant), (answer.Content, answer.Role));
        var pieces = new List<string?>();
        await foreach (var piece in chat.GetStreamingChatMessageContentsAsync(history, settings)) pieces.Add(piece.Content);
        Assert.Equal(Said, string.Concat(pieces));
        history.Add(answer);
        history.AddUserMessage("And then?");
        var next = await chat.GetChatMessageContentAsync(history, new OpenAIPromptExecutionSettings { Temperature = 0, MaxTokens = 4 });
        var whole = ChatTemplates.Find("chatml", TestServer.Tokenizer)!.Encode([new("user", "Hello"), new("assistant", Said), new("user", "And then?")], open: true);
        Assert.Equal(whole.Length, Assert.IsType<ChatTokenUsage>(next.Metadata!["Usage"]).InputTokenCount);
    }

    [Fact]
    public async Task SemanticKernel_Prompt_IsFilledInAndAnswered()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot(Story));
        var answer = await Kernel(server).InvokePromptAsync("{{$word}}", new KernelArguments(new OpenAIPromptExecutionSettings { Temperature = 0 }) { ["word"] = "Hello" });
        Assert.Equal(Said, answer.GetValue<string>());
    }

    /// <summary>The model is untrained: that the call is of this function, with an argument of its type, is the server's doing. The kernel calls it, and tells the model the result.</summary>
    [Fact]
    public async Task SemanticKernel_CallsTheFunction_ThatTheModelAsksFor()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 2048));
        var kernel = Kernel(server);
        var asked = new List<Colour>();
        kernel.Plugins.AddFromFunctions("lamp", [KernelFunctionFactory.CreateFromMethod((Colour colour) => { asked.Add(colour); return "on"; }, "shine")]);
        var settings = new OpenAIPromptExecutionSettings { Temperature = 0, MaxTokens = 120, FunctionChoiceBehavior = FunctionChoiceBehavior.Required() };
        var answer = await kernel.InvokePromptAsync("Hello", new KernelArguments(settings));
        Assert.NotEmpty(asked);
        Assert.All(asked, colour => Assert.True(Enum.IsDefined(colour)));
        Assert.NotNull(answer.GetValue<string>());
        Assert.Equal(2, server.Metrics.Requests.Value("stop") + server.Metrics.Requests.Value("length"));
    }

    private static IChatClient ChatClient(TestServer server) => Client(server).GetChatClient(TestServer.ModelId).AsIChatClient();

    private static Kernel Kernel(TestServer server) => Microsoft.SemanticKernel.Kernel.CreateBuilder().AddOpenAIChatCompletion(TestServer.ModelId, Client(server)).Build();

    private static OpenAIClient Client(TestServer server) =>
        new(new ApiKeyCredential("any"), new OpenAIClientOptions { Endpoint = new Uri(server.Address, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

    private sealed record Light(Colour Colour);

    private enum Colour
    {
        Red,
        Green,
    }
}
