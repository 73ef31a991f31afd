using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Causal attention of S new tokens that remembers: H query heads over G key/value heads, queries, keys and values side by side in qkv [B, S, (H + 2G)·K]. A row
/// has key_lengths + 1 keys, its new ones included, and those stand behind the past ones: present = past with the new keys and values written in, in place where
/// both are one buffer. ONNX Runtime's GroupQueryAttention is the definition. Where a row has fewer keys than new tokens, the last of these are padding, and
/// what they give has no meaning.
/// <para>The cache holds floats, or signed bytes, which stand for byte·scale; each channel of a key/value head has a scale for its keys and one for its values,
/// [1, G, 1, K]. New tokens are rounded as they are written and then read from the cache like older ones.</para>
/// </summary>
public static class CachedAttention
{
    /// <summary>Scales are the last inputs of a form whose cache holds bytes: those of keys, then those of values.</summary>
    public const int ScaleCount = 2;

    private const string Heads = "num_heads", KeyValueHeads = "kv_num_heads";

    private static readonly ImmutableArray<FunctionPort>
        Rotation = [new("cos", ["positions", "K/2"]), new("sin", ["positions", "K/2"])],
        Scales = [new("k_scale", [1, "G", 1, "K"]), new("v_scale", [1, "G", 1, "K"])];

    public static Function Plain { get; } = Create("CachedAttention", [], []);

    /// <summary>Queries and keys are turned by their positions first; cos and sin are [positions, K/2].</summary>
    public static Function Rotary { get; } = Create("RotaryCachedAttention", Rotation, []);

    public static Function Int8Plain { get; } = Create("Int8CachedAttention", [], Scales);

    public static Function Int8Rotary { get; } = Create("Int8RotaryCachedAttention", Rotation, Scales);

    private static Function Create(string name, ImmutableArray<FunctionPort> rotation, ImmutableArray<FunctionPort> scales)
    {
        var cache = scales.IsEmpty ? ElementType.Float : ElementType.Int8;
        return new()
        {
            Name = name,
            Inputs =
            [
                new("qkv", ["B", "S", "(H+2G)*K"]), new("past_key", cache, ["B", "G", "past", "K"]), new("past_value", cache, ["B", "G", "past", "K"]),
                new("key_lengths", ElementType.Int32, ["B"]), new("total", ElementType.Int32, []), .. rotation, .. scales,
            ],
            Outputs = ["y", "present_key", "present_value"],
            Attributes = [(Heads, 1), (KeyValueHeads, 1)],
            Infer = Infer,
            Body = (g, inputs) =>
            [
                .. g.Emit(
                    "GroupQueryAttention",
                    Arguments(inputs, rotation.Length, scales.Length),
                    [(inputs[0].Type, ["B", "S", "H*K"]), (inputs[1].Type, ["B", "G", "present", "K"]), (inputs[1].Type, ["B", "G", "present", "K"])],
                    new Attributes(
                    [
                        (Heads, AttributeValue.Reference(Heads, 1)), (KeyValueHeads, AttributeValue.Reference(KeyValueHeads, 1)), ("do_rotary", rotation.IsEmpty ? 0 : 1),
                        .. scales.IsEmpty ? ImmutableArray<(string, AttributeValue)>.Empty : [("k_quant_type", "PER_CHANNEL"), ("v_quant_type", "PER_CHANNEL"), ("kv_cache_bit_width", 8)],
                    ]),
                    "com.microsoft"),
            ],
        };
    }

    /// <summary>The operator's inputs: query, key and value (all in the first), past, lengths, total, rotation; then positions, bias and sink, which are not given; and scales.</summary>
    private static ImmutableArray<Value?> Arguments(IReadOnlyList<Value> inputs, int rotation, int scales)
    {
        ImmutableArray<Value?> plain = [inputs[0], null, null, .. inputs.Skip(1).SkipLast(scales)];
        return scales == 0 ? plain : [.. plain, .. new Value?[rotation == 0 ? 5 : 3], .. inputs.TakeLast(scales)];
    }

    private static IEnumerable<(ElementType Type, TensorShape Shape)> Infer(IReadOnlyList<Value> inputs, Attributes attributes)
    {
        TensorShape past = inputs[1].Shape, present = past.With(2, "present");
        return [(inputs[0].Type, inputs[0].Shape.With(2, attributes.Int(Heads) * past[3].Value)), (inputs[1].Type, present), (inputs[2].Type, present)];
    }
}
