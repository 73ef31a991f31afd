using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using OnnxLlm.Serving.Engine.Constraints;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// One choice of one request inside the engine: what was asked, and how far it has come.
/// It owns its token history and its end. Slots belong to the pool, text and stop strings to the request.
/// Only the engine's thread changes it.
/// </summary>
internal sealed class Sequence
{
    private readonly Dictionary<int, int> _counts = [];
    private HashSet<int>? _seen;
    private List<int>? _tokens;

    public required ImmutableArray<int> Prompt { get; init; }

    /// <summary>Index of the choice in the answer; also part of the random number's counter.</summary>
    public int Choice { get; init; }

    public SamplingSettings Sampling { get; init; } = new();

    public required int MaxTokens { get; init; }

    /// <summary>End tokens cannot be chosen before this many tokens.</summary>
    public int MinTokens { get; init; }

    /// <summary>Tokens that end the answer and are not part of it.</summary>
    public ImmutableArray<int> EndTokens { get; init; } = [];

    /// <summary>How many alternatives to score with each token; null for no scores.</summary>
    public int? Alternatives { get; init; }

    /// <summary>Score the prompt's tokens as well.</summary>
    public bool ScoresPrompt { get; init; }

    /// <summary>Takes what the model makes of the prompt; null where only an answer is wanted.</summary>
    public PromptReader? Reader { get; init; }

    /// <summary>Every token of the prompt must be read, whoever has read the same before.</summary>
    public bool ReadsAll => ScoresPrompt || Reader is not null;

    /// <summary>Its next tokens may be guessed: what is chosen depends on the scores and the position alone, not on the tokens chosen just before.</summary>
    public bool MayBeGuessed => !Sampling.HasPenalty && Constrained is null && Generated >= MinTokens;

    /// <summary>How it guesses; kept where the engine does.</summary>
    public Draft? Draft { get; set; }

    /// <summary>What the answer must look like; null for anything.</summary>
    public ConstrainedText? Constrained { get; init; }

    /// <summary>Whose it is, for fairness.</summary>
    public string Key { get; init; } = "";

    /// <summary>Higher goes first, and may take the slot of lower.</summary>
    public int Priority { get; init; }

    /// <summary>Only sequences with the same salt share what they have read.</summary>
    public string? Salt { get; init; }

    /// <summary>A further choice for a prompt that another sequence has as well: its prompt is not counted again.</summary>
    public bool IsSibling { get; init; }

    public required ChannelWriter<SequenceEvent> Output { get; init; }

    public CancellationToken Cancelled { get; init; }

    /// <summary>The context in which it was submitted: log lines about it that are written there bear the request's id.</summary>
    public ExecutionContext? Origin { get; set; }

    /// <summary>Positions held in the key/value slot.</summary>
    public int Past { get; private set; }

    /// <summary>Positions that were copied instead of read.</summary>
    public int Shared { get; private set; }

    /// <summary>Where its keys and values wait while it has no slot.</summary>
    public int? SwappedTo { get; set; }

    /// <summary>What it has read is worth keeping.</summary>
    public bool IsKept => !IsProbe && Fault is null;

    /// <summary>Prompt and answer so far.</summary>
    public ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens ??= Begin());

    public int Generated { get; private set; }

    public int LastToken { get; private set; }

    public FinishReason? Finish { get; private set; }

    /// <summary>Why no token could be chosen, if that is how it ended.</summary>
    public Exception? Fault { get; private set; }

    public bool IsOver => Finish is not null || Fault is not null;

    /// <summary>The server's own question to the model; not counted.</summary>
    public bool IsProbe { get; init; }

    /// <summary>Tokens that have not left the engine yet; <see cref="Delivery"/>'s.</summary>
    public List<GeneratedToken> Outbox { get; } = [];

    public SequenceTimes Times { get; } = new();

    /// <summary>How often each token was generated; kept only where a penalty needs it.</summary>
    public Dictionary<int, int> Counts => _counts;

    /// <summary>The distinct tokens of prompt and answer.</summary>
    public HashSet<int> Seen => _seen ??= [.. Prompt];

    public void Advance(int positions) => Past += positions;

    /// <summary>Its slot begins with positions that another sequence has read.</summary>
    public void Share(int positions) => Past = Shared = positions;

    /// <summary>A token that ends the answer without being part of it.</summary>
    public bool IsEnd(int token) => EndTokens.Contains(token);

    /// <summary>Takes the chosen token and decides whether the sequence ends with it.</summary>
    public void Append(int token)
    {
        if (IsEnd(token))
        {
            Finish = FinishReason.Stop;
            return;
        }

        LastToken = token;
        (_tokens ??= Begin()).Add(token);
        Generated++;
        if (Sampling.HasPenalty) Count(token);
        Constrained?.Append(token);
        if (Generated >= MaxTokens) Finish = FinishReason.Length;
        if (Constrained is { IsOver: true }) Finish = FinishReason.Stop;
    }

    public void Fail(Exception fault) => Fault = fault;

    /// <summary>Ends a sequence that asked for no tokens at all, once its prompt is scored.</summary>
    public void FinishPrompt() => Finish = FinishReason.Length;

    /// <summary>The prompt, with room for the answer, so that the list never grows.</summary>
    private List<int> Begin()
    {
        var tokens = new List<int>(Prompt.Length + MaxTokens);
        tokens.AddRange(Prompt.AsSpan());
        return tokens;
    }

    private void Count(int token)
    {
        _counts[token] = _counts.GetValueOrDefault(token) + 1;
        _seen ??= [.. Prompt];
        _seen.Add(token);
    }
}

/// <summary>Time stamps of a sequence, written by the engine's loop.</summary>
internal sealed class SequenceTimes
{
    public long Arrived { get; set; }

    public long Admitted { get; set; }

    public long FirstToken { get; set; }

    public long LastToken { get; set; }

    /// <summary>Tokens of the answer.</summary>
    public int Tokens { get; set; }
}
