using System.Text.Json.Serialization;

namespace OnnxLlm.Training.Configuration;

/// <summary>What a model is trained for.</summary>
public enum Objective
{
    /// <summary>To predict each token from those before it: decoders.</summary>
    [JsonStringEnumMemberName("causal-lm")]
    CausalLm,

    /// <summary>To find the tokens that are hidden: encoders.</summary>
    [JsonStringEnumMemberName("masked-lm")]
    MaskedLm,

    /// <summary>To give each text its label: encoders.</summary>
    Classification,

    /// <summary>To write a text for another: encoder-decoders.</summary>
    [JsonStringEnumMemberName("seq2seq")]
    Seq2Seq,

    /// <summary>To write the spans that are hidden in a text: encoder-decoders, before they learn a task.</summary>
    [JsonStringEnumMemberName("span-corruption")]
    SpanCorruption,
}
