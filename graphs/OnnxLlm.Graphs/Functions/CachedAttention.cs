using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Causal attention of S new tokens that remembers: H query heads over G key/value heads, queries, keys and values side by side in qkv [B, S, (H + 2G)·K]. A row
/// has key_lengths + 1 keys, its new ones included, and those stand behind the past ones: present = past with the new keys and values written in, in place where
/// both are one buffer. ONNX Runtime's GroupQueryAttention is the definition. Where a row has fewer keys than new tokens, the last of these are padding, and
/// what they give has no meaning.
/// <para>The cache holds floats, floats of 16 bits (bfloat16), or signed bytes, which stand for byte·scale; each channel of a key/value head then has a scale for its keys and
/// one for its values, [1, G, 1, K]. New tokens are rounded as they are written and then read from the cache like older ones.</para>
/// </summary>
public static class CachedAttention
{
    /// <summary>Scales are the last inputs of a form whose cache holds bytes: those of keys, then those of values.</summary>
    public const int ScaleCount = 2;

    internal const string Heads = "num_heads";

    private const string KeyValueHeads = "kv_num_heads";

    private static readonly ImmutableArray<FunctionPort>
        Rotation = [new("cos", ["positions", "K/2"]), new("sin", ["positions", "K/2"])],
        Scales = [new("k_scale", [1, "G", 1, "K"]), new("v_scale", [1, "G", 1, "K"])];

    public static Function Plain { get; } = Create("CachedAttention", ElementType.Float, []);

    /// <summary>Queries and keys are turned by their positions first; cos and sin are [positions, K/2].</summary>
    public static Function Rotary { get; } = Create("RotaryCachedAttention", ElementType.Float, Rotation);

    public static Function BFloat16Plain { get; } = Create("BFloat16CachedAttention", ElementType.BFloat16, []);

    public static Function BFloat16Rotary { get; } = Create("BFloat16RotaryCachedAttention", ElementType.BFloat16, Rotation);

    public static Function Int8Plain { get; } = Create("Int8CachedAttention", ElementType.Int8, []);

    public static Function Int8Rotary { get; } = Create("Int8RotaryCachedAttention", ElementType.Int8, Rotation);

    public static ImmutableArray<Function> Forms { get; } = [Plain, Rotary, BFloat16Plain, BFloat16Rotary, Int8Plain, Int8Rotary];

    private static Function Create(string name, ElementType cache, ImmutableArray<FunctionPort> rotation)
    {
        ImmutableArray<FunctionPort> scales = cache == ElementType.Int8 ? Scales : [];
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
            Body = (g, inputs) => cache == ElementType.BFloat16 ? Narrow(g, inputs, !rotation.IsEmpty) : Attend(g, inputs, rotation.Length, scales.Length),
        };
    }

    private static Value[] Attend(GraphBuilder g, IReadOnlyList<Value> inputs, int rotation, int scales) =>
    [
        .. g.Emit(
            "GroupQueryAttention",
            Arguments(inputs, rotation, scales),
            [(inputs[0].Type, ["B", "S", "H*K"]), (inputs[1].Type, ["B", "G", "present", "K"]), (inputs[1].Type, ["B", "G", "present", "K"])],
            new Attributes(
            [
                (Heads, AttributeValue.Reference(Heads, 1)), (KeyValueHeads, AttributeValue.Reference(KeyValueHeads, 1)), ("do_rotary", rotation == 0 ? 0 : 1),
                .. scales == 0 ? ImmutableArray<(string, AttributeValue)>.Empty : [("k_quant_type", "PER_CHANNEL"), ("v_quant_type", "PER_CHANNEL"), ("kv_cache_bit_width", 8)],
            ]),
            "com.microsoft"),
    ];

    /// <summary>
    /// The operator keeps what it computes with: it is given the cache widened, and new keys and values rounded beforehand, so that what it appends is exact in 16 bits. Keys are kept turned,
    /// so they are turned before they are rounded.
    /// </summary>
    private static Value[] Narrow(GraphBuilder g, IReadOnlyList<Value> inputs, bool turns)
    {
        Value qkv = inputs[0], size = g.Mul(g.ExtentOf(inputs[1], 1), g.ExtentOf(inputs[1], 3)), queries = g.ExtentOf(qkv, 2) - size - size;
        var parts = g.Emit("Split", [qkv, g.Concat(0, queries, size, size)], [Part("H*K"), Part("G*K"), Part("G*K")], new Attributes([("axis", 2)]));
        var (q, k) = turns ? (Turn(g, parts[0], inputs), Turn(g, parts[1], inputs)) : (parts[0], parts[1]);
        Value packed = g.Emit("Concat", [q, Rounded(k), Rounded(parts[2])], qkv.Type, qkv.Shape, ("axis", 2));
        var outputs = Attend(g, [packed, g.Cast(inputs[1], qkv.Type), g.Cast(inputs[2], qkv.Type), inputs[3], inputs[4]], rotation: 0, scales: 0);
        return [outputs[0], g.Cast(outputs[1], ElementType.BFloat16), g.Cast(outputs[2], ElementType.BFloat16)];

        (ElementType, TensorShape) Part(string width) => (qkv.Type, ["B", "S", width]);
        Value Rounded(Value x) => g.Cast(g.Cast(x, ElementType.BFloat16), x.Type);
    }

    /// <summary>Heads turned by their positions: a row's new tokens stand behind its past ones, of which there are none where tokens are padded.</summary>
    private static Value Turn(GraphBuilder g, Value heads, IReadOnlyList<Value> inputs)
    {
        var tokens = g.ExtentOf(heads, 1);
        var behind = g.Cast(g.Unsqueeze(inputs[3], 1), ElementType.Int64) + g.Int64s(1) - tokens;
        var past = g.Emit("Max", [behind, g.Int64s(0)], behind.Type, behind.Shape);
        var steps = g.Range(g.Constant(TensorData.Scalar(0, ElementType.Int64)), g.Reshape(tokens, []), g.Constant(TensorData.Scalar(1, ElementType.Int64)), "S");
        return g.EmitMicrosoft("RotaryEmbedding", [heads, past + steps, inputs[5], inputs[6]], heads.Type, heads.Shape);
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
