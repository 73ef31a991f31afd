using System.Diagnostics;
using System.Net;

namespace OnnxLlm.Tests.Serving;

/// <summary>Spans, as a collector gets them over HTTP.</summary>
public sealed class TraceTests
{
    /// <summary>Of its own for each test: spans of servers that run at the same time come too.</summary>
    private readonly string _trace = Guid.NewGuid().ToString("N");

    [Fact]
    public async Task Chat_IsASpanUnderTheCallers_DividedIntoQueuePrefillAndDecode()
    {
        using var receiver = new TraceReceiver();
        await AskAsync(receiver, "/v1/chat/completions", """{"model":"org/toy","messages":[{"role":"user","content":"sesame"}],"max_tokens":5,"ignore_eos":true,"seed":7,"n":2}""");
        var spans = receiver.Spans(_trace);
        var request = Assert.Single(spans, span => span.Name == "chat org/toy");
        Assert.Equal(("b7ad6b7169203331", 2), (request.ParentId, request.Kind));
        Assert.Equal(["decode", "decode", "prefill", "prefill", "queue", "queue"], spans.Where(span => span != request).Select(span => span.Name).Order());
        foreach (var part in spans.Where(span => span != request))
        {
            Assert.Equal(request.SpanId, part.ParentId);
            Assert.InRange(part.Start, request.Start, part.End);
            Assert.InRange(part.End, part.Start, request.End);
        }

        Assert.Equal(("chat", "org/toy", "7", "5"), (request.Tags["gen_ai.operation.name"], request.Tags["gen_ai.request.model"], request.Tags["gen_ai.request.seed"], request.Tags["gen_ai.request.max_tokens"]));
        Assert.Equal(("10", "length,length"), (request.Tags["gen_ai.usage.output_tokens"], request.Tags["gen_ai.response.finish_reasons"]));
        Assert.DoesNotContain("sesame", receiver.Raw, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_ThatFails_IsASpanInError()
    {
        using var receiver = new TraceReceiver();
        var model = TestServer.Noise();
        model.BeforePass = () => { if (model.DecodePasses == 2) throw new InvalidOperationException("injected"); };
        await AskAsync(receiver, "/v1/completions", """{"model":"org/toy","prompt":"x","max_tokens":50,"ignore_eos":true,"stream":true}""", model, fails: true);
        var request = Assert.Single(receiver.Spans(_trace), span => span.Name == "text_completion org/toy");
        Assert.Equal((2, "internal_error"), (request.Status, request.Tags["error.type"]));
    }

    [Fact]
    public async Task Generate_IsASpanToo_AndAnAnswerFromTheCacheHasNoParts()
    {
        using var receiver = new TraceReceiver();
        await AskAsync(receiver, "/v2/models/org%2Ftoy/generate", """{"text_input":"x","parameters":{"max_tokens":3,"temperature":0}}""", times: 2);
        var spans = receiver.Spans(_trace);
        Assert.Equal(["hit", "miss"], spans.Where(span => span.Name == "text_completion org/toy").Select(span => span.Tags["onnxllm.response_cache"]).Order());
        Assert.Equal(1, spans.Count(span => span.Name == "prefill"));
    }

    /// <summary>Named as OpenTelemetry names them; the model has a name of its own, because servers of other tests measure at the same time.</summary>
    [Fact]
    public async Task Histograms_OfGeneration_CountRequestsChoicesAndFailures()
    {
        using var receiver = new TraceReceiver();
        var model = TestServer.Noise();
        var before = Stopwatch.GetTimestamp();
        await using (var server = await TestServer.StartAsync(change: options => options with { TraceCollector = receiver.Address }, more: [new(TestServer.Describe(_trace, model), model)]))
        {
            await server.CompleteAsync(new() { ["model"] = _trace, ["max_tokens"] = 5, ["ignore_eos"] = true, ["n"] = 2, ["prompt"] = "sesame" });
            await server.ChatAsync(new() { ["model"] = _trace, ["max_tokens"] = 1, ["ignore_eos"] = true });
            model.BeforePass = () => throw new InvalidOperationException("injected");
            await server.CompleteAsync(new() { ["model"] = _trace }, HttpStatusCode.InternalServerError);
        }

        var (passed, points) = (Stopwatch.GetElapsedTime(before).TotalSeconds, receiver.Points(_trace));
        string[] expected =
        [
            "gen_ai.server.request.duration chat  1", "gen_ai.server.request.duration text_completion  1", "gen_ai.server.request.duration text_completion internal_error 1",
            "gen_ai.server.time_per_output_token text_completion  2", "gen_ai.server.time_to_first_token chat  1", "gen_ai.server.time_to_first_token text_completion  2",
        ];
        Assert.Equal(expected, points.Select(point => $"{point.Histogram} {point.Tags["gen_ai.operation.name"]} {point.Tags.GetValueOrDefault("error.type")} {point.Count}").Order(StringComparer.Ordinal));
        Assert.All(points, point => Assert.Equal(("s", "onnxllm"), (point.Unit, point.Tags["gen_ai.provider.name"])));
        Assert.All(points, point => Assert.InRange(point.Sum, 0, passed * point.Count));
        Assert.Equal((0.01, 81.92), (points.First(point => point.Histogram.EndsWith("duration", StringComparison.Ordinal)).Bounds[0], points.First(point => point.Histogram.EndsWith("duration", StringComparison.Ordinal)).Bounds[^1]));
        Assert.DoesNotContain("sesame", receiver.Raw, StringComparison.Ordinal);
    }

    /// <summary>Asks under a trace of the caller's, and lets the server end so that all spans have left it.</summary>
    private async Task AskAsync(TraceReceiver receiver, string path, string body, Support.ToyModel? model = null, bool fails = false, int times = 1)
    {
        await using var server = await TestServer.StartAsync(model, options => options with { TraceCollector = receiver.Address });
        for (var i = 0; i < times; i++)
        {
            using var response = await server.SendAsync(path, body, ("traceparent", $"00-{_trace}-b7ad6b7169203331-01"));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            if (fails) await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync());
            else await response.Content.ReadAsStringAsync();
        }
    }
}
