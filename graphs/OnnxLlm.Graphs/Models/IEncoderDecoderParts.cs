namespace OnnxLlm.Graphs.Models;

/// <summary>What an <see cref="EncoderDecoder"/> needs beside <see cref="ModelParts"/>: attention that knows distances, and attention to what the encoder has read.</summary>
internal interface IEncoderDecoderParts
{
    /// <summary>From here on <see cref="ModelParts.Attention"/> adds to each score a number that a table [buckets, H] has for the distance.</summary>
    void LearnDistances(string table);

    /// <summary>Keys and values [B, S, H*K], for one block of the decoder, of what the encoder has read.</summary>
    (Value Key, Value Value) Memory(Value encoded, Projection key, Projection value);

    /// <summary>Attention [.., H*K] of the decoder's queries to a memory, as far as it is not padding.</summary>
    Value CrossAttention(Value h, Projection query, (Value Key, Value Value) memory);
}
