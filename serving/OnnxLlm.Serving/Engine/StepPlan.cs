namespace OnnxLlm.Serving.Engine;

/// <summary>What one step of the engine does, as data: first the moves, then at most one prefill chunk, then one decode of all listed rows.</summary>
/// <param name="Moves">Slot contents to copy, in order, to close holes.</param>
/// <param name="Decode">Row i is the sequence in slot i.</param>
internal sealed record StepPlan(IReadOnlyList<SlotMove> Moves, PrefillChunk? Prefill, IReadOnlyList<Sequence> Decode)
{
    /// <summary>Tokens that go through the model.</summary>
    public int Tokens => Decode.Count + (Prefill?.Length ?? 0);

    public bool IsEmpty => Tokens == 0 && Moves.Count == 0;
}

internal readonly record struct SlotMove(int From, int To);

/// <summary>A piece of a prompt on its way into a slot.</summary>
internal sealed record PrefillChunk(Sequence Sequence, int Slot, int Start, int Length)
{
    public ReadOnlySpan<int> Tokens => Sequence.Prompt.AsSpan(Start, Length);

    /// <summary>The prompt is complete with this chunk, so its logits choose the first token.</summary>
    public bool IsLast => Start + Length == Sequence.Prompt.Length;
}

/// <summary>A token chosen in a step, with its scores if they were asked for.</summary>
internal readonly record struct Sample(Sequence Sequence, int Token, TokenScore? Score);
