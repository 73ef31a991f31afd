using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Engine.Constraints;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Api;

/// <summary>An answer that the engine is working on: one sequence per choice, all reporting to one channel.</summary>
internal sealed class LiveAnswer : Answer
{
    private readonly Channel<SequenceEvent> _events = Channel.CreateUnbounded<SequenceEvent>(new() { SingleReader = true, AllowSynchronousContinuations = true });
    private readonly List<ChoiceDelta> _deltas = [];
    private readonly List<FinishReason> _finishes = [];
    private readonly GenerationRequest _request;
    private readonly Caller _caller;
    private readonly ServingMetrics _metrics;
    private readonly ChoiceText[] _texts;
    private readonly CancellationTokenSource[] _cancels;
    private string _unfinished = "abort";

    public LiveAnswer(GenerationRequest request, ServedModel model, Caller caller, Guardrails guardrails, ServingMetrics metrics, CancellationToken aborted)
    {
        (_request, _caller, _metrics) = (request, caller, metrics);
        var choices = Enumerable.Range(0, request.Prompts.Length * request.Choices).ToArray();
        _texts = [.. choices.Select(choice => new ChoiceText(choice, model, request, guardrails.Begin()))];
        _cancels = [.. choices.Select(_ => CancellationTokenSource.CreateLinkedTokenSource(aborted))];
        Sequences = [.. choices.Select(choice => CreateSequence(choice, model.Context))];
    }

    /// <summary>For the engine.</summary>
    public ImmutableArray<Sequence> Sequences { get; }

    /// <summary>Set once the engine has taken the sequences in; from then on each of them is counted.</summary>
    public bool IsAdmitted { get; set; }

    /// <summary>Called with the whole answer once it is complete.</summary>
    public Action<CachedAnswer>? Completed { get; init; }

    public override IEnumerable<FinishReason> Finishes => _finishes;

    public override IEnumerable<SequenceTimes> Times => Sequences.Select(sequence => sequence.Times);

    public override Usage Usage => new(_request.PromptTokens, _texts.Sum(text => text.Tokens), Sequences.Where(sequence => !sequence.IsSibling).Sum(sequence => sequence.Shared));

    public override async IAsyncEnumerable<ChoiceDelta> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        // A wait that nobody can cancel costs no object; the end of the channel cancels it.
        using var cancelled = cancellation.UnsafeRegister((_, token) => _events.Writer.TryComplete(new OperationCanceledException(token)), null);
        foreach (var delta in Echo()) yield return Keep(delta);
        while (Array.Exists(_texts, text => !text.IsFinished))
        {
            var happened = await _events.Reader.ReadAsync(CancellationToken.None).ConfigureAwait(false);
            if (happened is NothingHappened) yield return ChoiceDelta.Empty;
            else if (Take(happened) is { } delta) yield return Keep(delta);
        }

        // A stop sequence or the filter ends an answer on the thread that carries everybody's tokens; what lies behind an end is for another one.
        await Task.Yield();
        Completed?.Invoke(new CachedAnswer([.. _deltas], Usage));
    }

    public override void Nudge() => _events.Writer.TryWrite(new NothingHappened());

    public override void Dispose()
    {
        foreach (var cancel in _cancels)
        {
            cancel.Cancel();
            cancel.Dispose();
        }

        if (IsAdmitted) _metrics.Requests.Add(_texts.Count(text => !text.IsFinished), _unfinished);
    }

    private Sequence CreateSequence(int choice, int context)
    {
        var prompt = _request.Prompts[choice / _request.Choices];
        return new Sequence
        {
            Prompt = prompt,
            Choice = choice,
            Sampling = _request.Sampling,
            MaxTokens = _request.AnswerTokens(prompt, context),
            MinTokens = _request.MinTokens,
            EndTokens = _request.EndTokens,
            Alternatives = _request.Alternatives,
            ScoresPrompt = _request.ScoresPrompt,
            Constrained = _request.Constraint is { } constraint ? new ConstrainedText(constraint) : null,
            Key = _caller.Name,
            Priority = _caller.Priority - _request.Delay,
            Salt = _request.CacheSalt,
            IsSibling = choice % _request.Choices != 0,
            Output = _events.Writer,
            Cancelled = _cancels[choice].Token,
        };
    }

    /// <summary>The prompts at the head of the answers; with scores they come from the engine instead.</summary>
    private IEnumerable<ChoiceDelta> Echo()
    {
        if (!_request.Echo || _request.ScoresPrompt) yield break;
        foreach (var sequence in Sequences)
        {
            var pieces = sequence.Prompt.Select(token => _texts[sequence.Choice].Append(new GeneratedToken(token, null, IsPrompt: true))?.Text);
            yield return new ChoiceDelta(sequence.Choice, string.Concat(pieces), [], null);
        }
    }

    private ChoiceDelta? Take(SequenceEvent happened)
    {
        try
        {
            return Apply(happened);
        }
        catch (ServingException)
        {
            _unfinished = "error";
            throw;
        }
    }

    private ChoiceDelta? Apply(SequenceEvent happened)
    {
        var text = _texts[happened.Choice];
        if (text.IsFinished) return null;           // tokens that were on their way when a stop sequence came
        switch (happened)
        {
            case TokensGenerated together:
                return Append(text, together);
            case SequenceFinished finished:
                return text.Finish(finished.Reason);
            case SequenceFailed { Fault: ConstraintException mistake }:
                throw new AnswerException(ApiError.Invalid("response_format", mistake.Message), mistake);
            case SequenceFailed failed:
                throw new ServingException("The engine failed while it answered.", failed.Fault);
            default:
                throw new ServingException($"The engine sent an unknown event, {happened.GetType().Name}.");
        }
    }

    /// <summary>What tokens that came together show together.</summary>
    private ChoiceDelta? Append(ChoiceText text, TokensGenerated together)
    {
        ChoiceDelta? shown = null;
        foreach (var token in together.Tokens)
        {
            if (text.Append(token) is { } delta) shown = shown?.Then(delta) ?? delta;
            if (!text.IsFinished) continue;
            _cancels[together.Choice].Cancel();
            break;
        }

        return shown;
    }

    private ChoiceDelta Keep(ChoiceDelta delta)
    {
        if (Completed is not null) _deltas.Add(delta);
        if (delta.Finish is not { } reason) return delta;
        _finishes.Add(reason);
        _metrics.Requests.Add(1, Words.Of(reason));
        return delta;
    }
}
