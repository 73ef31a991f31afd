using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the texts of a body that has nothing but texts to read: of encoders and encoder-decoders.</summary>
internal static class TextsField
{
    /// <summary>Those of <c>input</c>, a string or several; none, with a mistake noted in the body, where it is anything else.</summary>
    public static IReadOnlyList<string> Read(RequestBody body, RequestLimits limits)
    {
        var elements = body.List("input", limits.Sequences);
        if (elements.Count == 0 || elements.Any(element => element.ValueKind != JsonValueKind.String)) body.Refuse("input", "'input' must be a string or an array of strings, one at least.");
        return body.Error is null ? [.. elements.Select(element => body.Text("input", element) ?? "")] : [];
    }
}
