using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// A model of this process as Microsoft.Extensions.AI sees models: the same engine, batching and caches as over HTTP, without the HTTP. The same options and
/// seed give the same text, and what is refused there is refused here.
/// </summary>
/// <param name="owned">Ends with the client; null where the model is the server's.</param>
internal sealed class EngineChatClient(ModelEntry entry, Func<long> nextSeed, IDisposable? owned = null) : IChatClient
{
    private static readonly Caller Self = new("in-process", false, 0, null);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var lease = entry.Enter() ?? throw new ServingException($"The model {entry.Id} is not loaded.");
        var request = Request(lease.Description, messages, options ?? new ChatOptions());
        var (started, error) = await new Generation(lease.Decoder, Self).StartAsync(request, mayCache: true, cancellationToken).ConfigureAwait(false);
        using var answer = started ?? throw new ServingException(error!.Message);
        var calls = request.MayCall ? new InProcessCalls(nextSeed) : null;
        await foreach (var delta in answer.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            IList<AIContent> contents = calls?.Read(delta) ?? [new TextContent(delta.Text)];
            yield return new ChatResponseUpdate(ChatRole.Assistant, contents) { ModelId = entry.Id, FinishReason = calls is { Any: true } && delta.Finish is FinishReason.Stop or FinishReason.StopSequence ? ChatFinishReason.ToolCalls : Reason(delta.Finish) };
        }

        yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(Details(answer.Usage))]) { ModelId = entry.Id };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceType == typeof(ChatClientMetadata) ? new ChatClientMetadata("onnxllm", defaultModelId: entry.Id)
            : serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose() => owned?.Dispose();

    private static UsageDetails Details(Usage usage) => new()
    {
        InputTokenCount = usage.PromptTokens,
        OutputTokenCount = usage.CompletionTokens,
        TotalTokenCount = usage.PromptTokens + usage.CompletionTokens,
        CachedInputTokenCount = usage.CachedTokens,
    };

    /// <summary>The options as a request over HTTP would bring them, read by the same rules.</summary>
    private GenerationRequest Request(ServedModel model, IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions options)
    {
        using var json = JsonSerializer.SerializeToDocument(Fields(messages, options));
        var (body, limits) = (new RequestBody(json.RootElement), new RequestLimits());
        var request = new ChatParser(body, model, limits).Read(new SamplingFields(body, model, limits, nextSeed).Read());
        if (body.Error is null && request.Misfit(model.Context, limits) is { } misfit) body.Refuse(misfit);
        if (body.Error is null && request.Format is { } format)
        {
            var (constraint, error) = model.Constraints.Find(format);
            if (error is not null) body.Refuse(error);
            request = request with { Constraint = constraint };
        }

        return body.Error is { } refused ? throw new ServingException(refused.Message) : request;
    }

    private static Dictionary<string, object?> Fields(IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions options)
    {
        var system = options.Instructions is { } instructions ? [Turn("system", [new TextContent(instructions)])] : Array.Empty<object>();
        return new()
        {
            ["messages"] = (object[])[.. system, .. messages.SelectMany(message => Turns(message.Role.Value, message.Contents))],
            ["max_completion_tokens"] = options.MaxOutputTokens,
            ["temperature"] = options.Temperature,
            ["top_p"] = options.TopP,
            ["top_k"] = options.TopK,
            ["presence_penalty"] = options.PresencePenalty,
            ["frequency_penalty"] = options.FrequencyPenalty,
            ["seed"] = options.Seed,
            ["stop"] = options.StopSequences,
            ["response_format"] = Format(options.ResponseFormat),
            ["tools"] = options.Tools?.Select(InProcessCalls.Tool),
            ["tool_choice"] = InProcessCalls.Choice(options.ToolMode),
            ["parallel_tool_calls"] = options.AllowMultipleToolCalls,
        };
    }

    /// <summary>A message, or one for each result of a call.</summary>
    private static IEnumerable<object> Turns(string role, IList<AIContent> contents) => contents.OfType<FunctionResultContent>().Any()
        ? contents.Select(content => content is FunctionResultContent result ? Turn("tool", [new TextContent(InProcessCalls.Text(result))]) : Turn(role, [content]))
        : [Turn(role, contents)];

    private static Dictionary<string, object> Turn(string role, IEnumerable<AIContent> contents) => new()
    {
        ["role"] = role,
        ["content"] = contents.Where(content => content is not FunctionCallContent).Select(Part),
        ["tool_calls"] = contents.OfType<FunctionCallContent>().Select(InProcessCalls.Call),
    };

    /// <summary>What is not text keeps its kind, so that it is refused by it.</summary>
    private static Dictionary<string, string> Part(AIContent content) =>
        content is TextContent text ? new() { ["type"] = "text", ["text"] = text.Text } : new() { ["type"] = content.GetType().Name };

    private static object? Format(ChatResponseFormat? format) => format switch
    {
        ChatResponseFormatJson { Schema: { } schema } => new { type = "json_schema", json_schema = new { name = "answer", schema } },
        ChatResponseFormatJson => new { type = "json_object" },
        _ => null,
    };

    private static ChatFinishReason? Reason(FinishReason? reason) => reason switch
    {
        null => null,
        FinishReason.Length => ChatFinishReason.Length,
        FinishReason.Filtered => ChatFinishReason.ContentFilter,
        _ => ChatFinishReason.Stop,
    };
}
