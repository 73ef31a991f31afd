using System.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>What a piece of an answer brings once calls are told from text.</summary>
/// <param name="Call">Number of the call, from 0; null for text.</param>
/// <param name="Name">Set where a call begins.</param>
/// <param name="Text">More of the text, or of the call's arguments.</param>
internal readonly record struct CallPiece(int? Call, string? Name, string Text);

/// <summary>
/// Tells calls from text while an answer comes in, whatever pieces it is cut into. Text is held back while it may be the beginning of a call, arguments are handed on
/// as they come. White space before a call, and what is between two calls, is nobody's.
/// </summary>
internal sealed class CallReader
{
    private readonly StringBuilder _held = new();
    private Place _place = Place.Text;
    private int _depth;
    private bool _inString;
    private bool _isEscaped;

    private enum Place
    {
        Text,
        Head,
        Arguments,
        Tail,
    }

    /// <summary>Calls so far, the last one perhaps not ended.</summary>
    public int Calls { get; private set; }

    public IReadOnlyList<CallPiece> Append(string text)
    {
        _held.Append(text);
        var pieces = new List<CallPiece>();
        while (Step(_held.ToString(), pieces)) { }
        return pieces;
    }

    /// <summary>The answer is over: what was held back as a possible beginning is text.</summary>
    public IReadOnlyList<CallPiece> Finish() => _place == Place.Text && Calls == 0 && _held.Length > 0 ? [new(null, null, _held.ToString())] : [];

    /// <summary>False when more has to come first.</summary>
    private bool Step(string held, List<CallPiece> pieces) => _place switch
    {
        Place.Text => Text(held, pieces),
        Place.Head => Head(held, pieces),
        Place.Arguments => Arguments(held, pieces),
        _ => Tail(held),
    };

    private bool Text(string held, List<CallPiece> pieces)
    {
        var at = held.IndexOf(ToolTurns.CallBegin, StringComparison.Ordinal);
        var text = at < 0 ? held[..^Beginning(held)] : held[..at].TrimEnd();
        if (Calls == 0 && text.Length > 0) pieces.Add(new(null, null, text));
        Drop(at < 0 ? text.Length : at + ToolTurns.CallBegin.Length);
        if (at < 0) return false;
        _place = Place.Head;
        return true;
    }

    /// <summary>Characters at the end that may belong to a call: white space and a beginning of its tag.</summary>
    private static int Beginning(string held)
    {
        var tag = Math.Min(held.Length, ToolTurns.CallBegin.Length - 1);
        while (!held.EndsWith(ToolTurns.CallBegin[..tag], StringComparison.Ordinal)) tag--;
        return held.Length - held[..^tag].TrimEnd().Length;
    }

    /// <summary>Names have no characters that JSON escapes, so the word before the arguments stands for itself.</summary>
    private bool Head(string held, List<CallPiece> pieces)
    {
        var word = held.IndexOf(ToolTurns.Arguments, StringComparison.Ordinal);
        var begin = word < 0 ? -1 : held.IndexOf('{', word);
        if (begin < 0) return false;
        var name = held[..word].Split('"') is [_, _, _, var called, ..] ? called : "";     // an answer from a cache that others fill may say anything
        pieces.Add(new(Calls++, name, ""));
        Drop(begin);
        (_place, _depth, _inString, _isEscaped) = (Place.Arguments, 0, false, false);
        return true;
    }

    private bool Arguments(string held, List<CallPiece> pieces)
    {
        var end = 0;
        while (end < held.Length && !Ends(held[end++])) { }
        var isWhole = end > 0 && _depth == 0;
        if (end > 0) pieces.Add(new(Calls - 1, null, held[..end]));
        Drop(end);
        if (isWhole) _place = Place.Tail;
        return isWhole;
    }

    /// <summary>Whether a character closes the object that the first one opened.</summary>
    private bool Ends(char c)
    {
        if (_inString)
        {
            (_inString, _isEscaped) = (_isEscaped || c != '"', !_isEscaped && c == '\\');
            return false;
        }

        _inString = c == '"';
        if (c is '{' or '[') _depth++;
        return c is '}' or ']' && --_depth == 0;
    }

    private bool Tail(string held)
    {
        var at = held.IndexOf(ToolTurns.CallEnd, StringComparison.Ordinal);
        if (at < 0) return false;
        Drop(at + ToolTurns.CallEnd.Length);
        _place = Place.Text;
        return true;
    }

    private void Drop(int count) => _held.Remove(0, count);
}
