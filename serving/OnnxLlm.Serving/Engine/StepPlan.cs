namespace OnnxLlm.Serving.Engine;

/// <summary>What one step of the engine does, as data: first the transfers, then at most one prefill chunk and one decode of all listed rows, in one pass where the model can, or else one after the other; or of a row and what is guessed to follow.</summary>
/// <param name="Transfers">Slot contents to copy, in order: to close holes, to share, to keep, to make room.</param>
/// <param name="Decode">Row i is the sequence in slot i.</param>
internal sealed record StepPlan(IReadOnlyList<Transfer> Transfers, PrefillChunk? Prefill, IReadOnlyList<Sequence> Decode)
{
    /// <summary>Guessed tokens behind the last one of the only sequence that is decoded.</summary>
    public int[] Draft { get; init; } = [];

    /// <summary>Tokens that go through the model.</summary>
    public int Tokens => Decode.Count + Draft.Length + (Prefill?.Length ?? 0);

    public bool IsEmpty => Tokens == 0 && Transfers.Count == 0;
}

/// <summary>A piece of a prompt on its way into a slot.</summary>
internal sealed record PrefillChunk(Sequence Sequence, int Slot, int Start, int Length)
{
    public ReadOnlySpan<int> Tokens => Sequence.Tokens.Slice(Start, Length);

    /// <summary>The prompt is complete with this chunk, so its logits choose the first token.</summary>
    public bool IsLast => Start + Length == Sequence.Prompt.Length;
}

/// <summary>A token chosen in a step, with its scores if they were asked for.</summary>
internal readonly record struct Sample(Sequence Sequence, int Token, TokenScore? Score);
