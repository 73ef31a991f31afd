using System.Text;
using System.Text.Json.Nodes;

namespace OnnxLlm.Serving.Api;

/// <summary>A streamed piece of which only the text changes: the JSON before it and behind it. Most of a stream is such pieces, one per token.</summary>
internal sealed record TextFrame(byte[] Before, byte[] After)
{
    /// <summary>Stands in for the text in the piece that a frame is cut from.</summary>
    public const string Placeholder = "{the text of a piece}";

    /// <param name="piece">With <see cref="Placeholder"/> for its text.</param>
    public static TextFrame Of(JsonObject piece)
    {
        var (json, text) = (piece.ToJsonString(JsonResponse.Format), $"\"{Placeholder}\"");
        var at = json.LastIndexOf(text, StringComparison.Ordinal);
        return new(Encoding.UTF8.GetBytes(json[..at]), Encoding.UTF8.GetBytes(json[(at + text.Length)..]));
    }
}
