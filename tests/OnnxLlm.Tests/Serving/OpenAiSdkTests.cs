using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Tests.Support;
using OpenAI;
using OpenAI.Chat;

namespace OnnxLlm.Tests.Serving;

/// <summary>The official OpenAI SDK against the server, over a real socket.</summary>
public sealed class OpenAiSdkTests
{
    private const string Story = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nOnce upon a time there was a small server. The stop is a word.";

    [Fact]
    public async Task Models_AreListedAndFound()
    {
        await using var server = await TestServer.StartAsync();
        var models = Client(server).GetOpenAIModelClient();
        Assert.Equal(TestServer.ModelId, Assert.Single((await models.GetModelsAsync()).Value).Id);
        var model = (await models.GetModelAsync(TestServer.ModelId)).Value;
        Assert.Equal((1763700000, "local"), (model.CreatedAt.ToUnixTimeSeconds(), model.OwnedBy));
    }

    [Fact]
    public async Task Chat_ToTheEnd_HasTextReasonAndUsage()
    {
        await using var server = await TestServer.StartAsync(Teller());
        var answer = (await Chat(server).CompleteChatAsync([new UserChatMessage("Hello")], Greedy())).Value;
        Assert.Equal("Once upon a time there was a small server. The stop is a word.", answer.Content[0].Text);
        Assert.Equal((ChatFinishReason.Stop, ChatMessageRole.Assistant), (answer.FinishReason, answer.Role));
        Assert.Equal(answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount);
        Assert.Equal(TestServer.Tokenizer.Encode("Once upon a time there was a small server. The stop is a word.").Length, answer.Usage.OutputTokenCount);
    }

    [Fact]
    public async Task ChatStream_EqualsTheWholeAnswer_AndEndsWithReasonAndUsage()
    {
        await using var server = await TestServer.StartAsync();
        var options = Greedy();
        options.MaxOutputTokenCount = 40;
        var whole = (await Chat(server).CompleteChatAsync([new UserChatMessage("Hello")], options)).Value;

        var updates = new List<StreamingChatCompletionUpdate>();
        await foreach (var update in Chat(server).CompleteChatStreamingAsync([new UserChatMessage("Hello")], options)) updates.Add(update);
        Assert.Equal(whole.Content[0].Text, string.Concat(updates.SelectMany(update => update.ContentUpdate).Select(part => part.Text)));
        Assert.Equal(ChatFinishReason.Length, Assert.Single(updates, update => update.FinishReason is not null).FinishReason);
        Assert.Equal(whole.Usage.TotalTokenCount, Assert.Single(updates, update => update.Usage is not null).Usage.TotalTokenCount);
        Assert.Single(updates.Select(update => update.CompletionId).Distinct());
    }

    [Fact]
    public async Task Chat_WithMaxTokens_EndsWithLength()
    {
        await using var server = await TestServer.StartAsync(Teller());
        var options = Greedy();
        options.MaxOutputTokenCount = 2;
        var answer = (await Chat(server).CompleteChatAsync([new UserChatMessage("Hello")], options)).Value;
        Assert.Equal((ChatFinishReason.Length, 2), (answer.FinishReason, answer.Usage.OutputTokenCount));
    }

    [Fact]
    public async Task Chat_WithAStopSequence_EndsBeforeIt()
    {
        await using var server = await TestServer.StartAsync(Teller());
        var options = Greedy();
        options.StopSequences.Add(" The stop");
        var answer = (await Chat(server).CompleteChatAsync([new UserChatMessage("Hello")], options)).Value;
        Assert.Equal(("Once upon a time there was a small server.", ChatFinishReason.Stop), (answer.Content[0].Text, answer.FinishReason));
    }

    [Fact]
    public async Task Chat_WithTwoChoices_GivesBothAndTheFirstToTheSdk()
    {
        await using var server = await TestServer.StartAsync();
        var body = new JsonObject { ["model"] = TestServer.ModelId, ["n"] = 2, ["seed"] = 3, ["max_tokens"] = 12, ["messages"] = TestServer.Messages("Hello") };
        var raw = await Chat(server).CompleteChatAsync(BinaryContent.Create(BinaryData.FromString(body.ToJsonString())), new RequestOptions());
        var choices = JsonNode.Parse(raw.GetRawResponse().Content)!["choices"]!.AsArray();
        Assert.Equal([0, 1], choices.Select(choice => (int)choice!["index"]!));
        Assert.NotEqual((string)choices[0]!["message"]!["content"]!, (string)choices[1]!["message"]!["content"]!);
    }

    [Fact]
    public async Task Chat_AskedForLogProbabilities_GivesThemWithTheBytesOfTheAnswer()
    {
        await using var server = await TestServer.StartAsync(Teller());
        var options = Greedy();
        (options.IncludeLogProbabilities, options.TopLogProbabilityCount) = (true, 3);
        var answer = (await Chat(server).CompleteChatAsync([new UserChatMessage("Hello")], options)).Value;
        var scores = answer.ContentTokenLogProbabilities;
        Assert.Equal(answer.Content[0].Text, Encoding.UTF8.GetString([.. scores.SelectMany(score => score.Utf8Bytes!.Value.ToArray())]));
        Assert.All(scores, score => Assert.Equal((3, score.LogProbability), (score.TopLogProbabilities.Count, score.TopLogProbabilities.Max(top => top.LogProbability))));
    }

    [Fact]
    public async Task Chat_WithABadTemperature_NamesIt()
    {
        await using var server = await TestServer.StartAsync();
        var options = new ChatCompletionOptions { Temperature = 3 };
        var refusal = await Assert.ThrowsAsync<ClientResultException>(() => Chat(server).CompleteChatAsync([new UserChatMessage("Hello")], options));
        Assert.Equal(400, refusal.Status);
        Assert.Contains("temperature", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("invalid_request_error", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_WithAWrongKey_Is401()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right"] });
        var refusal = await Assert.ThrowsAsync<ClientResultException>(() => Chat(server, "wrong").CompleteChatAsync([new UserChatMessage("Hello")]));
        Assert.Equal(401, refusal.Status);
        Assert.Contains("invalid_api_key", refusal.Message, StringComparison.Ordinal);
        Assert.NotNull((await Chat(server, "right").CompleteChatAsync([new UserChatMessage("Hello")], new() { MaxOutputTokenCount = 1 })).Value);
    }

    [Fact]
    public async Task Chat_WithAnUnknownModel_Is404()
    {
        await using var server = await TestServer.StartAsync();
        var refusal = await Assert.ThrowsAsync<ClientResultException>(() => Client(server).GetChatClient("nobody").CompleteChatAsync([new UserChatMessage("Hello")]));
        Assert.Equal(404, refusal.Status);
        Assert.Contains("model_not_found", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ChatStream_Cancelled_FreesTheSlot()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 100_000));
        using var cancel = new CancellationTokenSource();
        var updates = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in Chat(server).CompleteChatStreamingAsync([new UserChatMessage("Hello")], Endless(), cancel.Token))
                if (++updates == 3) await cancel.CancelAsync();
        });
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
    }

    [Fact]
    public async Task ChatStream_WhenTheEngineFails_Throws()
    {
        var model = TestServer.Noise();
        await using var server = await TestServer.StartAsync(model);
        model.BeforePass = () => { if (model.DecodePasses == 3) throw new InvalidOperationException("injected"); };
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var _ in Chat(server).CompleteChatStreamingAsync([new UserChatMessage("Hello")], Endless())) ;
        });
    }

    [Fact]
    public async Task Tools_ThatMustBeCalled_AreCalledWithArgumentsThatFit()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 4096));
        var options = new ChatCompletionOptions { ToolChoice = ChatToolChoice.CreateRequiredChoice(), AllowParallelToolCalls = false };
        options.Tools.Add(ChatTool.CreateFunctionTool("add", "Adds.", BinaryData.FromString("""{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}"""), functionSchemaIsStrict: true));
        ChatMessage[] talk = [new UserChatMessage("One more?")];
        var answer = (await Chat(server).CompleteChatAsync(talk, options)).Value;
        var call = Assert.Single(answer.ToolCalls);
        Assert.Equal((ChatFinishReason.ToolCalls, "add"), (answer.FinishReason, call.FunctionName));
        Assert.Equal(JsonValueKind.Number, JsonDocument.Parse(call.FunctionArguments).RootElement.GetProperty("a").ValueKind);

        options.ToolChoice = ChatToolChoice.CreateNoneChoice();
        options.MaxOutputTokenCount = 5;
        options.LogitBiases[TestServer.Tokenizer.Special.Eos!.Value] = -100;
        var next = (await Chat(server).CompleteChatAsync([.. talk, new AssistantChatMessage(answer), new ToolChatMessage(call.Id, "2")], options)).Value;
        Assert.Equal((ChatFinishReason.Length, 0), (next.FinishReason, next.ToolCalls.Count));
    }

    [Fact]
    public async Task Tools_CalledInAStream_ComeInPieces()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 4096));
        var options = new ChatCompletionOptions { ToolChoice = ChatToolChoice.CreateFunctionChoice("add") };
        options.Tools.Add(ChatTool.CreateFunctionTool("add", null, BinaryData.FromString("""{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}""")));
        var updates = new List<StreamingChatCompletionUpdate>();
        await foreach (var update in Chat(server).CompleteChatStreamingAsync([new UserChatMessage("Hello")], options)) updates.Add(update);
        var pieces = updates.SelectMany(update => update.ToolCallUpdates).ToArray();
        Assert.Equal("add", Assert.Single(pieces, piece => piece.FunctionName is not null).FunctionName);
        Assert.NotEmpty(Assert.Single(pieces, piece => piece.ToolCallId is not null).ToolCallId);
        var arguments = string.Concat(pieces.Select(piece => piece.FunctionArgumentsUpdate?.ToString()));
        Assert.Equal(["a"], JsonNode.Parse(arguments)!.AsObject().Select(member => member.Key));
        Assert.Equal(ChatFinishReason.ToolCalls, Assert.Single(updates, update => update.FinishReason is not null).FinishReason);
    }

    private static ParrotModel Teller()
    {
        var text = TestServer.Tokenizer.Encode(Story, allowSpecial: true);
        return new ParrotModel(text, TestServer.Tokenizer.Special.Eos!.Value, TestServer.Tokenizer.VocabularySize);
    }

    private static ChatCompletionOptions Greedy() => new() { Temperature = 0 };

    private static ChatCompletionOptions Endless()
    {
        var options = Greedy();
        options.LogitBiases[TestServer.Tokenizer.Special.Eos!.Value] = -100;
        options.LogitBiases[TestServer.Tokenizer.Special.Ids["<|im_end|>"]] = -100;
        return options;
    }

    private static ChatClient Chat(TestServer server, string key = "any") => Client(server, key).GetChatClient(TestServer.ModelId);

    private static OpenAIClient Client(TestServer server, string key = "any") =>
        new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(server.Address, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
