using System.Text;

namespace OnnxLlm.Serving.Safety;

/// <summary>
/// The text of one answer on its way through the guardrails. The last characters are held back until what follows shows that nothing begins in them; what is let
/// through was judged with the text before it and behind it.
/// </summary>
/// <param name="window">Characters held back: nothing up to this length is shown in part.</param>
internal sealed class GuardedText(Guardrails guardrails, int window)
{
    private string _before = "";
    private string _held = "";

    /// <summary>Something was found that must not be shown; nothing more will be let through.</summary>
    public bool IsBlocked { get; private set; }

    /// <summary>Takes a piece of text; returns what may be shown now.</summary>
    public string Append(string piece) => Move(piece, isEnd: false);

    /// <summary>The end of the text: what was held back is judged as it is.</summary>
    public string Finish() => Move("", isEnd: true);

    private string Move(string piece, bool isEnd)
    {
        if (IsBlocked) return "";
        _held += piece;
        var findings = Findings();
        // What touches the end may go on and turn out to be something else.
        var block = findings.FirstOrDefault(finding => finding.Blocks && (isEnd || finding.End < _held.Length));
        IsBlocked = block is not null;
        return Release(block is null && isEnd ? _held.Length : Cut(findings, block?.Start ?? _held.Length - window), findings);
    }

    /// <summary>By their places in what is held back, in order; with what was shown before, so that nothing is found only because its beginning is missing.</summary>
    private Finding[] Findings() =>
    [
        .. guardrails.Inspect(_before + _held, TextSide.Answer)
            .Select(finding => finding with { Start = Math.Max(0, finding.Start - _before.Length), End = finding.End - _before.Length })
            .Where(finding => finding.End > 0).OrderBy(finding => finding.Start),
    ];

    /// <summary>How much may go, up to <paramref name="cut"/>, without going through the middle of something.</summary>
    private static int Cut(Finding[] findings, int cut)
    {
        foreach (var finding in findings.Reverse())
            if (finding.Start < cut && cut < finding.End) cut = finding.Start;
        return Math.Max(0, cut);
    }

    private string Release(int end, Finding[] findings)
    {
        var (shown, at) = (new StringBuilder(), 0);
        foreach (var mask in findings.Where(finding => !finding.Blocks && finding.End <= end))
        {
            if (mask.Start < at) continue;
            shown.Append(_held, at, mask.Start - at).Append(mask.Replacement);
            at = mask.End;
        }

        shown.Append(_held, at, end - at);
        var before = _before + _held[..end];
        _before = before[^Math.Min(window, before.Length)..];
        _held = _held[end..];
        return shown.ToString();
    }
}
