using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Tracing;

/// <summary>
/// The span of one generation request, with a child each for queue, prefill and decode of every choice, and its place in the histograms, whether it is sampled or
/// not. Names follow OpenTelemetry's conventions for generative models. It holds numbers only, never what was asked or answered.
/// </summary>
internal sealed class RequestTrace : IDisposable
{
    public const string SourceName = "OnnxLlm.Serving";

    private static readonly ActivitySource Source = new(SourceName);

    private readonly Activity? _span;
    private readonly TimeProvider _time;
    private readonly long _begun;
    private readonly TagList _tags;
    private string? _error;

    private RequestTrace(Activity? span, TagList tags, TimeProvider time) => (_span, _tags, _time, _begun) = (span, tags, time, time.GetTimestamp());

    /// <summary>Begins the span under the caller's; null where nobody wants it.</summary>
    /// <param name="operation">chat or text_completion.</param>
    public static RequestTrace? Begin(HttpContext context, string operation, ReadRequest read, TimeProvider time)
    {
        if (!Source.HasListeners() && !GenerationMeter.HasListeners) return null;
        var tags = new TagList { { "gen_ai.operation.name", operation }, { "gen_ai.provider.name", "onnxllm" }, { "gen_ai.request.model", read.Lease.Description.Id } };
        return new RequestTrace(StartSpan(context, operation, read, tags), tags, time);
    }

    /// <summary>What the answer cost, and where its time went.</summary>
    public void Describe(Answer answer)
    {
        var usage = answer.Usage;
        _span?.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens).SetTag("gen_ai.usage.output_tokens", usage.CompletionTokens);
        _span?.SetTag("gen_ai.response.finish_reasons", answer.Finishes.Select(Words.Of).ToArray());
        _span?.SetTag("onnxllm.cached_tokens", usage.CachedTokens);
        if (answer.CacheState is { } state) _span?.SetTag("onnxllm.response_cache", state);
        foreach (var (choice, times) in answer.Times.Index())
        {
            Divide(choice, times);
            GenerationMeter.Choice(times, _time, _tags);
        }
    }

    /// <summary>Notes why there is no answer; returns it.</summary>
    public ApiError Refused(ApiError error)
    {
        _span?.SetStatus(ActivityStatusCode.Error, error.Code);
        Mark(error.Code);
        return error;
    }

    public void Failed(Exception fault)
    {
        _span?.SetStatus(ActivityStatusCode.Error);
        Mark(fault is OperationCanceledException ? "aborted" : "internal_error");
    }

    public void Dispose()
    {
        var tags = _tags;
        if (_error is not null) tags.Add("error.type", _error);
        GenerationMeter.Request(_time.GetElapsedTime(_begun).TotalSeconds, tags);
        _span?.Dispose();
    }

    private static Activity? StartSpan(HttpContext context, string operation, ReadRequest read, TagList tags)
    {
        var headers = context.Request.Headers;
        _ = ActivityContext.TryParse(headers["traceparent"], headers["tracestate"], isRemote: true, out var parent);
        // The framework's own activity is not exported, so it must not become the parent.
        Activity.Current = null;
        if (Source.StartActivity($"{operation} {read.Lease.Description.Id}", ActivityKind.Server, parent, tags) is not { } span) return null;
        span.SetTag("gen_ai.request.choice.count", read.Request.Choices);
        span.SetTag("gen_ai.request.temperature", read.Request.Sampling.Temperature).SetTag("gen_ai.request.seed", (long)read.Request.Sampling.Seed);
        if (read.Request.MaxTokensIsFirm) span.SetTag("gen_ai.request.max_tokens", read.Request.MaxTokens);
        return span.SetTag("onnxllm.request.id", RequestRecord.Of(context).Id);
    }

    private void Mark(string? error)
    {
        _span?.SetTag("error.type", error);
        _error = error;
    }

    private void Divide(int choice, SequenceTimes times)
    {
        Child("queue", choice, times.Arrived, times.Admitted);
        Child("prefill", choice, times.Admitted, times.FirstToken);
        Child("decode", choice, times.FirstToken, times.LastToken);
    }

    /// <summary>Nothing for what has not happened.</summary>
    private void Child(string name, int choice, long from, long to)
    {
        if (_span is null || from == 0 || to < from) return;
        using var child = Source.StartActivity(name, ActivityKind.Internal, _span.Context, startTime: At(from));
        child?.SetTag("onnxllm.choice", choice);
        child?.SetEndTime(At(to).UtcDateTime);
    }

    private DateTimeOffset At(long stamp) => _time.GetUtcNow() - _time.GetElapsedTime(stamp);
}
