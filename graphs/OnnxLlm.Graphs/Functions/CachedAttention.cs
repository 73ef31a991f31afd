using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Causal attention of S new tokens that remembers: H query heads over G key/value heads, queries, keys and values side by side in qkv [B, S, (H + 2G)·K]. A row
/// has key_lengths + 1 keys, its new ones included, and those stand behind the past ones: present = past with the new keys and values written in, in place where
/// both are one buffer. ONNX Runtime's GroupQueryAttention is the definition. Where a row has fewer keys than new tokens, the last of these are padding, and
/// what they give has no meaning.
/// </summary>
internal static class CachedAttention
{
    private const string Heads = "num_heads", KeyValueHeads = "kv_num_heads";

    internal static Function Plain { get; } = Create("CachedAttention", []);

    /// <summary>Queries and keys are turned by their positions first; cos and sin are [positions, K/2].</summary>
    internal static Function Rotary { get; } = Create("RotaryCachedAttention", [new("cos", ["positions", "K/2"]), new("sin", ["positions", "K/2"])]);

    private static Function Create(string name, ImmutableArray<FunctionPort> rotation) => new()
    {
        Name = name,
        Inputs =
        [
            new("qkv", ["B", "S", "(H+2G)*K"]), new("past_key", ["B", "G", "past", "K"]), new("past_value", ["B", "G", "past", "K"]),
            new("key_lengths", ElementType.Int32, ["B"]), new("total", ElementType.Int32, []), .. rotation,
        ],
        Outputs = ["y", "present_key", "present_value"],
        Attributes = [(Heads, 1), (KeyValueHeads, 1)],
        Infer = Infer,
        Body = (g, inputs) =>
        [
            .. g.Emit(
                "GroupQueryAttention",
                [inputs[0], null, null, .. inputs.Skip(1)],
                [(inputs[0].Type, ["B", "S", "H*K"]), (inputs[1].Type, ["B", "G", "present", "K"]), (inputs[1].Type, ["B", "G", "present", "K"])],
                new Attributes((Heads, AttributeValue.Reference(Heads, 1)), (KeyValueHeads, AttributeValue.Reference(KeyValueHeads, 1)), ("do_rotary", rotation.IsEmpty ? 0 : 1)),
                "com.microsoft"),
        ],
    };

    private static IEnumerable<(ElementType Type, TensorShape Shape)> Infer(IReadOnlyList<Value> inputs, Attributes attributes)
    {
        TensorShape past = inputs[1].Shape, present = past.With(2, "present");
        return [(inputs[0].Type, inputs[0].Shape.With(2, attributes.Int(Heads) * past[3].Value)), (inputs[1].Type, present), (inputs[2].Type, present)];
    }
}
