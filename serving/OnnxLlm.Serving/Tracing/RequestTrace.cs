using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Tracing;

/// <summary>
/// The span of one generation request, with a child each for queue, prefill and decode of every choice. Names follow OpenTelemetry's conventions for generative
/// models. It holds numbers only, never what was asked or answered.
/// </summary>
internal sealed class RequestTrace : IDisposable
{
    public const string SourceName = "OnnxLlm.Serving";

    private static readonly ActivitySource Source = new(SourceName);

    private readonly Activity _span;
    private readonly TimeProvider _time;

    private RequestTrace(Activity span, TimeProvider time) => (_span, _time) = (span, time);

    /// <summary>Begins the span under the caller's; null where nobody wants it.</summary>
    /// <param name="operation">chat or text_completion.</param>
    public static RequestTrace? Begin(HttpContext context, string operation, ReadRequest read, TimeProvider time)
    {
        if (!Source.HasListeners()) return null;
        var headers = context.Request.Headers;
        _ = ActivityContext.TryParse(headers["traceparent"], headers["tracestate"], isRemote: true, out var parent);
        // The framework's own activity is not exported, so it must not become the parent.
        Activity.Current = null;
        if (Source.StartActivity($"{operation} {read.Lease.Description.Id}", ActivityKind.Server, parent) is not { } span) return null;
        span.SetTag("gen_ai.operation.name", operation).SetTag("gen_ai.provider.name", "onnxllm");
        span.SetTag("gen_ai.request.model", read.Lease.Description.Id).SetTag("gen_ai.request.choice.count", read.Request.Choices);
        span.SetTag("gen_ai.request.temperature", read.Request.Sampling.Temperature).SetTag("gen_ai.request.seed", (long)read.Request.Sampling.Seed);
        if (read.Request.MaxTokensIsFirm) span.SetTag("gen_ai.request.max_tokens", read.Request.MaxTokens);
        span.SetTag("onnxllm.request.id", RequestRecord.Of(context).Id);
        return new RequestTrace(span, time);
    }

    /// <summary>What the answer cost, and where its time went.</summary>
    public void Describe(Answer answer)
    {
        var usage = answer.Usage;
        _span.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens).SetTag("gen_ai.usage.output_tokens", usage.CompletionTokens);
        _span.SetTag("gen_ai.response.finish_reasons", answer.Finishes.Select(Words.Of).ToArray());
        _span.SetTag("onnxllm.cached_tokens", usage.CachedTokens);
        if (answer.CacheState is { } state) _span.SetTag("onnxllm.response_cache", state);
        foreach (var (choice, times) in answer.Times.Index()) Divide(choice, times);
    }

    /// <summary>Notes why there is no answer; returns it.</summary>
    public ApiError Refused(ApiError error)
    {
        _span.SetStatus(ActivityStatusCode.Error, error.Code).SetTag("error.type", error.Code);
        return error;
    }

    public void Failed(Exception fault) => _span.SetStatus(ActivityStatusCode.Error).SetTag("error.type", fault is OperationCanceledException ? "aborted" : "internal_error");

    public void Dispose() => _span.Dispose();

    private void Divide(int choice, SequenceTimes times)
    {
        Child("queue", choice, times.Arrived, times.Admitted);
        Child("prefill", choice, times.Admitted, times.FirstToken);
        Child("decode", choice, times.FirstToken, times.LastToken);
    }

    /// <summary>Nothing for what has not happened.</summary>
    private void Child(string name, int choice, long from, long to)
    {
        if (from == 0 || to < from) return;
        using var child = Source.StartActivity(name, ActivityKind.Internal, _span.Context, startTime: At(from));
        child?.SetTag("onnxllm.choice", choice);
        child?.SetEndTime(At(to).UtcDateTime);
    }

    private DateTimeOffset At(long stamp) => _time.GetUtcNow() - _time.GetElapsedTime(stamp);
}
