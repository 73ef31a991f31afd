namespace OnnxLlm.Serving.Engine;

/// <summary>
/// The seam between the engine and a model: key/value slots numbered from 0 and forward passes over them.
/// A runner is used by one thread. Returned logits are valid until the next call.
/// </summary>
internal interface IModelRunner : IDisposable
{
    int Slots { get; }

    /// <summary>Positions a slot can hold.</summary>
    int MaxLength { get; }

    int VocabularySize { get; }

    /// <summary>Bytes that an entry of so many positions takes.</summary>
    long BytesOf(int length);

    /// <summary>Appends <paramref name="tokens"/> to a slot that already holds <paramref name="past"/> positions.</summary>
    /// <returns>[V] scores of the token after the last one.</returns>
    ReadOnlySpan<float> Prefill(int slot, ReadOnlySpan<int> tokens, int past);

    /// <summary>Elements of a hidden state.</summary>
    int Width { get; }

    /// <summary>The model gives the scores and the hidden states of all tokens; otherwise <see cref="Score"/> and <see cref="Hidden"/> throw.</summary>
    bool GivesAll { get; }

    /// <summary>As <see cref="Prefill"/>.</summary>
    /// <returns>[n, V] scores, those after each of the tokens.</returns>
    ReadOnlySpan<float> Score(int slot, ReadOnlySpan<int> tokens, int past);

    /// <summary>As <see cref="Prefill"/>.</summary>
    /// <returns>[n, D] hidden states of the tokens.</returns>
    ReadOnlySpan<float> Hidden(int slot, ReadOnlySpan<int> tokens, int past);

    /// <summary>Appends one token to each of the first <c>tokens.Length</c> slots.</summary>
    /// <returns>[n, V] scores, one row per slot.</returns>
    ReadOnlySpan<float> Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts);

    /// <summary>As <see cref="Decode"/>.</summary>
    /// <returns>[n] the token of each row's highest score, ties to the lowest token; −1 where that score is not finite.</returns>
    ReadOnlySpan<int> DecodeBest(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts);

    /// <returns>[n, V] the scores of the last <see cref="DecodeBest"/>.</returns>
    ReadOnlySpan<float> DecodedScores();

    /// <summary>One pass may read a piece of a prompt and decode; otherwise <see cref="DecodeAndRead"/> throws.</summary>
    bool ReadsWhileDecoding { get; }

    /// <summary><see cref="Decode"/>, and in the same pass <see cref="Prefill"/> into another slot.</summary>
    /// <returns>[n + 1, V] scores, last those of the token after <paramref name="prompt"/>.</returns>
    ReadOnlySpan<float> DecodeAndRead(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past);

    /// <summary>Copies what slot <paramref name="from"/> holds over slot <paramref name="to"/>.</summary>
    void Move(int from, int to);

    /// <summary>Copies the first positions of a slot into an entry beside the slots.</summary>
    void Save(int slot, int length, int entry);

    /// <summary>Copies the first positions of an entry into a slot, which then holds these.</summary>
    void Load(int entry, int length, int slot);

    void Drop(int entry);
}
