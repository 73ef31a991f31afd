using System.Collections.Immutable;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Lets text through up to the stop sequence that is complete first, of two complete at once the longer one. The longest tail that could
/// be the beginning of one is held back until the text decides, so that no part of a stop sequence is ever shown.
/// </summary>
internal sealed class StopFilter(ImmutableArray<string> stops)
{
    private string _held = "";

    /// <summary>A stop sequence has come; nothing more will be let through.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Takes a piece of text; returns what may be shown now.</summary>
    public string Append(string piece)
    {
        if (IsStopped) return "";
        if (stops.IsEmpty) return piece;
        var text = _held + piece;
        var stop = FirstStop(text);
        IsStopped = stop >= 0;
        var shown = IsStopped ? stop : text.Length - PossibleBeginning(text);
        _held = IsStopped ? "" : text[shown..];
        return text[..shown];
    }

    /// <summary>The end of the text: what was held back is no stop sequence after all.</summary>
    public string Finish()
    {
        var rest = _held;
        _held = "";
        return rest;
    }

    /// <summary>Where the first stop sequence begins, or −1. It does not depend on how the text was cut into pieces.</summary>
    private int FirstStop(string text)
    {
        var found = stops.Select(stop => (At: text.IndexOf(stop, StringComparison.Ordinal), stop.Length)).Where(stop => stop.At >= 0);
        return found.OrderBy(stop => stop.At + stop.Length).ThenBy(stop => stop.At).Select(stop => stop.At).FirstOrDefault(-1);
    }

    private int PossibleBeginning(string text) => stops.Select(stop => Overlap(text, stop)).DefaultIfEmpty(0).Max();

    /// <summary>How many characters at the end of the text begin the stop sequence.</summary>
    private static int Overlap(string text, string stop)
    {
        for (var length = Math.Min(text.Length, stop.Length - 1); length > 0; length--)
            if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length))) return length;
        return 0;
    }
}
