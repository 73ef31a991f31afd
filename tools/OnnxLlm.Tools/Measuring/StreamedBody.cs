using System.Net.ServerSentEvents;
using System.Text.Json;

namespace OnnxLlm.Tools.Measuring;

/// <summary>A whole stream of events, looked at after the clock has stopped, so that the client costs the server as little time as it can.</summary>
/// <param name="Tokens">The tokens that the server says it has generated.</param>
/// <param name="Ends">Where the events that bring a piece of the answer end, in bytes from the beginning.</param>
internal sealed record StreamedBody(int Tokens, IReadOnlyList<int> Ends)
{
    private const string Done = "[DONE]";

    /// <exception cref="ToolException">The stream holds an error, or not all that belongs to it.</exception>
    public static StreamedBody Read(ReadOnlySpan<byte> body)
    {
        int? tokens = null;
        string last = "";
        var ends = new List<int>();
        for (int start = 0, end; start < body.Length; start = end)
        {
            end = start + Event(body[start..]);
            foreach (SseItem<string> item in SseParser.Create(new MemoryStream(body[start..end].ToArray())).Enumerate())
            {
                last = item.Data;
                if (last == Done) continue;
                using JsonDocument json = JsonDocument.Parse(last);
                tokens = Usage(json.RootElement) ?? tokens;
                if (BringsText(json.RootElement)) ends.Add(end);
            }
        }
        return last == Done && tokens is { } counted ? new(counted, ends) : throw new ToolException($"The server's stream broke off after: {last}");
    }

    /// <summary>Length of the first event with the empty line behind it.</summary>
    private static int Event(ReadOnlySpan<byte> body)
    {
        int feeds = body.IndexOf("\n\n"u8), returns = body.IndexOf("\r\n\r\n"u8);
        return returns >= 0 && (feeds < 0 || returns < feeds) ? returns + 4 : feeds >= 0 ? feeds + 2 : body.Length;
    }

    private static bool BringsText(JsonElement data) =>
        data.TryGetProperty("choices", out JsonElement choices) && choices.EnumerateArray().Any(choice => choice.TryGetProperty("text", out JsonElement text) && text.GetString() is { Length: > 0 });

    private static int? Usage(JsonElement data) => data.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object
        ? usage.GetProperty("completion_tokens").GetInt32()
        : null;
}
