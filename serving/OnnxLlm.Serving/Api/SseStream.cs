using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace OnnxLlm.Serving.Api;

/// <summary>Server-sent events as OpenAI clients expect them: <c>data:</c> lines with compact JSON.</summary>
internal sealed class SseStream(HttpContext context)
{
    private Utf8JsonWriter? _writer;
    private int _silent;

    /// <summary>Sends the headers, so that clients stop waiting for them.</summary>
    public async Task BeginAsync()
    {
        var response = context.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        await response.StartAsync(context.RequestAborted).ConfigureAwait(false);
        await FlushAsync().ConfigureAwait(false);
    }

    public Task SendAsync(JsonNode data)
    {
        Append(data);
        return FlushAsync();
    }

    /// <summary>Adds an event that leaves with the next flush.</summary>
    /// <param name="name">Of the event, where clients tell them apart by it.</param>
    public void Append(JsonNode data, string? name = null)
    {
        if (name is not null) Write(Encoding.UTF8.GetBytes($"event: {name}\n"));
        Write("data: "u8);
        var writer = Writer();
        data.WriteTo(writer);
        writer.Flush();
        Write("\n\n"u8);
    }

    /// <summary>The same of a piece of which only the text is new.</summary>
    public void Append(TextFrame frame, string text)
    {
        Write("data: "u8);
        Write(frame.Before);
        var writer = Writer();
        writer.WriteStringValue(text);
        writer.Flush();
        Write(frame.After);
        Write("\n\n"u8);
    }

    /// <summary>Adds a line that parsers skip, to show that the connection lives.</summary>
    public void AppendSignOfLife() => Write(": keep-alive\n\n"u8);

    /// <summary>Nothing was added since this was last asked.</summary>
    public bool WasSilent() => Interlocked.Exchange(ref _silent, 1) == 1;

    public Task EndAsync() => SendAsync("data: [DONE]\n\n"u8);

    private Utf8JsonWriter Writer()
    {
        _writer ??= JsonResponse.Writer(context);
        _writer.Reset(context.Response.BodyWriter);
        return _writer;
    }

    private Task SendAsync(ReadOnlySpan<byte> bytes)
    {
        Write(bytes);
        return FlushAsync();
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        var writer = context.Response.BodyWriter;
        Volatile.Write(ref _silent, 0);
        bytes.CopyTo(writer.GetSpan(bytes.Length));
        writer.Advance(bytes.Length);
    }

    public async Task FlushAsync() => await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
}
