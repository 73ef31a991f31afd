using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>Compact JSON bodies. Only what JSON itself requires is escaped: the bodies are never part of an HTML page.</summary>
internal static class JsonResponse
{
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The same for text that is made apart from a response.</summary>
    public static JsonSerializerOptions Format { get; } = new() { Encoder = Compact.Encoder };

    public static async Task WriteAsync(HttpContext context, JsonNode body)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        using (var writer = Writer(context)) body.WriteTo(writer);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>Adds to the response, without sending it yet, whenever it is flushed.</summary>
    public static Utf8JsonWriter Writer(HttpContext context) => new(context.Response.BodyWriter, Compact);
}
