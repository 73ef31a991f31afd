using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// A model of this process as Microsoft.Extensions.AI sees models: the same engine, batching and caches as over HTTP, without the HTTP. The same options and
/// seed give the same text.
/// </summary>
internal sealed class EngineChatClient(ModelEntry entry, Func<long> nextSeed) : IChatClient
{
    private static readonly Caller Self = new("in-process", false, 0, null);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var lease = entry.Enter() ?? throw new ServingException($"The model {entry.Id} is not loaded.");
        var request = Request(lease.Description, messages, options ?? new ChatOptions());
        var (started, error) = await new Generation(lease.Model, Self).StartAsync(request, mayCache: true, cancellationToken).ConfigureAwait(false);
        using var answer = started ?? throw new ServingException(error!.Message);
        await foreach (var delta in answer.ReadAsync(cancellationToken).ConfigureAwait(false))
            yield return new ChatResponseUpdate(ChatRole.Assistant, delta.Text) { ModelId = entry.Id, FinishReason = Reason(delta.Finish) };
        var usage = new UsageDetails { InputTokenCount = answer.Usage.PromptTokens, OutputTokenCount = answer.Usage.CompletionTokens, TotalTokenCount = answer.Usage.PromptTokens + answer.Usage.CompletionTokens };
        yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(usage)]) { ModelId = entry.Id };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceType == typeof(ChatClientMetadata) ? new ChatClientMetadata("onnxllm", defaultModelId: entry.Id)
            : serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>The model is the server's.</summary>
    public void Dispose()
    {
    }

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
        var system = options.Instructions is { } instructions ? [Turn("system", instructions)] : Array.Empty<object>();
        return new()
        {
            ["messages"] = (object[])[.. system, .. messages.Select(message => Turn(message.Role.Value, message.Text))],
            ["max_completion_tokens"] = options.MaxOutputTokens,
            ["temperature"] = options.Temperature,
            ["top_p"] = options.TopP,
            ["top_k"] = options.TopK,
            ["presence_penalty"] = options.PresencePenalty,
            ["frequency_penalty"] = options.FrequencyPenalty,
            ["seed"] = options.Seed,
            ["stop"] = options.StopSequences,
            ["response_format"] = Format(options.ResponseFormat),
        };
    }

    private static Dictionary<string, string> Turn(string role, string content) => new() { ["role"] = role, ["content"] = content };

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
