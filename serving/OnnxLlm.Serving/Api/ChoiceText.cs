using System.Collections.Immutable;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Safety;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>Turns the tokens of one choice into pieces of text: whole characters only, nothing of a stop sequence, nothing that a guardrail objects to, scores with the text they belong to.</summary>
internal sealed class ChoiceText(int choice, ServedModel model, GenerationRequest request, GuardedText? guard)
{
    private readonly TokenStream _stream = model.Tokenizer.Stream(request.SkipSpecialTokens);
    private readonly StopFilter _stops = new(request.Stop);
    private readonly List<ScoredToken> _scores = [];
    private int _decoded;
    private int _shown;

    /// <summary>Tokens of the answer so far.</summary>
    public int Tokens { get; private set; }

    /// <summary>A stop sequence or the end has come.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>Null where the token shows nothing yet.</summary>
    public ChoiceDelta? Append(GeneratedToken token)
    {
        if (request.Alternatives is not null) Note(token);
        var piece = _stream.Append(token.Token);
        _decoded += piece.Length;
        if (!token.IsPrompt) Tokens++;
        // Stop sequences count from min_tokens on, and only in the answer.
        var text = token.IsPrompt || Tokens < request.MinTokens ? _stops.Finish() + piece : _stops.Append(piece);
        if (_stops.IsStopped) return End(text, FinishReason.StopSequence);
        if (guard is not null && !token.IsPrompt) text = guard.Append(text);
        if (guard is { IsBlocked: true }) return Close(text, FinishReason.Filtered);
        return text.Length > 0 ? Show(text, null) : null;
    }

    /// <summary>The model has ended the answer: whatever was held back comes out.</summary>
    public ChoiceDelta Finish(FinishReason reason)
    {
        var text = _stops.Append(_stream.Finish());
        return _stops.IsStopped ? End(text, FinishReason.StopSequence) : End(text + _stops.Finish(), reason);
    }

    private ChoiceDelta End(string text, FinishReason reason)
    {
        if (guard is not null) text = guard.Append(text) + guard.Finish();
        return Close(text, guard is { IsBlocked: true } ? FinishReason.Filtered : reason);
    }

    private ChoiceDelta Close(string text, FinishReason reason)
    {
        IsFinished = true;
        _scores.RemoveAll(score => _stops.IsStopped && score.Offset >= _shown + text.Length);
        return Show(text, reason);
    }

    private ChoiceDelta Show(string text, FinishReason? finish)
    {
        _shown += text.Length;
        ImmutableArray<ScoredToken> scores = [.. _scores];
        _scores.Clear();
        return new ChoiceDelta(choice, text, scores, finish);
    }

    private void Note(GeneratedToken token)
    {
        var top = token.Score?.Top.Select(t => new ScoredAlternative(model.Texts[t.Token], t.LogProb)) ?? [];
        _scores.Add(new ScoredToken(model.Texts[token.Token], token.Score?.LogProb, [.. top], _decoded));
    }
}
