namespace OnnxLlm.Graphs.Encoders;

/// <summary>The inputs that the graphs of all encoders have, under the names of Hugging Face's exports.</summary>
internal static class EncoderInputs
{
    /// <summary>Tokens, what of them is none of padding, and their segments: int64 [batch, sequence] each.</summary>
    public static (Value Ids, Value Mask, Value Types) Declare(GraphBuilder g)
    {
        var ids = g.Input(MaskedLmGraph.InputIds, ElementType.Int64, ["batch", "sequence"]);
        return (ids, g.Input(MaskedLmGraph.AttentionMask, ElementType.Int64, ["batch", "sequence"]), Optional(g, MaskedLmGraph.TokenTypeIds, 0, ids));
    }

    /// <summary>An input of the shape of the ids that may be left out: it is then <paramref name="all"/> everywhere.</summary>
    public static Value Optional(GraphBuilder g, string name, long all, Value ids) =>
        g.ExpandLike(g.Input(name, [$"{name}_rows", $"{name}_columns"], TensorData.Of<long>(ElementType.Int64, [1, 1], [all])), ids);
}
