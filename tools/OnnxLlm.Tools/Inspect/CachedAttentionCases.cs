using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Tools.Inspect;

/// <summary>
/// Cases for attention over a cache, of rows and ragged. What a cache of fewer bits rounds is a multiple of 1/64, keys also after they were turned by whole numbers, and every scale is a power
/// of two: what reaches the cache is then exact, ties and overflows of bytes included, and kernel and body must hold the same numbers.
/// </summary>
internal static class CachedAttentionCases
{
    private const int Positions = 200;

    /// <summary>A prompt without a past, one new token for rows of different lengths, several for one row; more queries than a block, more keys than a chunk.</summary>
    private static readonly (int[] Keys, long S, long Past, long H, long G, long K)[] Rows =
        [([7], 7, 0, 2, 2, 16), ([70], 70, 0, 3, 1, 32), ([1, 40, 130], 1, 150, 6, 2, 64), ([100], 9, 128, 4, 4, 48), ([90], 30, 90, 4, 2, 80)];

    /// <summary>One token at the beginning; one for each of some sequences; a long piece of a prompt behind some of those; tokens of a sequence apart, the later one first.</summary>
    private static readonly (string Form, (int Slot, int Position)[] Tokens, long Slots, long L, long H, long G, long K)[] Ragged =
    [
        ("first token", [(0, 0)], 1, 7, 2, 2, 16),
        ("single tokens", [(0, 40), (1, 0), (2, 129)], 3, 150, 6, 2, 64),
        ("single tokens and a piece", [(0, 7), (1, 30), .. Enumerable.Range(5, 70).Select(position => (3, position))], 4, 90, 3, 1, 32),
        ("tokens apart", [(1, 4), (0, 3), (1, 3), (0, 2)], 2, 20, 4, 2, 80),
    ];

    public static IEnumerable<KernelCase> All =>
    [
        .. from form in CachedAttention.Forms
           from size in Rows
           let name = $"B{size.Keys.Length} S{size.S} past {size.Past} H{size.H} G{size.G} K{size.K}"
           select Of(form, name, [size.Keys.Length, size.S, (size.H + 2 * size.G) * size.K], [size.Keys.Length, size.G, size.Past, size.K], size.H, size.Keys.Max(), g => Lengths(g, size.Keys)),
        .. from form in RaggedAttention.Forms
           from size in Ragged
           select Of(form, $"{size.Form} H{size.H} G{size.G} K{size.K}", [1, size.Tokens.Length, (size.H + 2 * size.G) * size.K], [size.Slots, size.G, size.L, size.K], size.H, size.L, g => Places(g, size.Tokens)),
    ];

    private static KernelCase Of(Function form, string name, TensorShape qkv, TensorShape cache, long heads, long keys, Func<GraphBuilder, Value[]> places)
    {
        ElementType type = form.Inputs[1].Type;
        bool turns = form.Inputs.Any(port => port.Name == "cos"), ragged = RaggedAttention.Forms.Contains(form);
        TensorShape rotation = [Positions, cache[3].Value / 2], scale = [1, cache[1], 1, cache[3]];
        TensorShape[] tables = [.. turns ? [rotation, rotation] : Array.Empty<TensorShape>(), .. type == ElementType.Int8 ? [scale, scale] : Array.Empty<TensorShape>()];
        return new(form.Name, name, [qkv, cache, cache, .. tables], keys * cache[3].Value, (g, x) =>
        {
            Value[] rest = [.. places(g), .. x.Skip(3).Select((table, i) => turns && i < 2 ? Rotation(g, table, type) : Scale(g, table))];
            var outputs = form.Call(g, [New(g, x[0], type), Held(g, x[1], type), Held(g, x[2], type), .. rest], ("num_heads", heads), ("kv_num_heads", cache[1].Value));
            // Of rows, what is beyond a row's own keys is not defined.
            return ragged ? outputs : outputs[..1];
        })
        {
            Reference = ElementType.Float,
        };
    }

    private static Value New(GraphBuilder g, Value x, ElementType type) => type == ElementType.Float ? x : Exact(g, x);

    private static Value Held(GraphBuilder g, Value x, ElementType type) => type switch
    {
        ElementType.Float => x,
        ElementType.Int8 => g.Cast(Whole(g, x * 63), type),
        _ => g.Cast(Exact(g, x), type),
    };

    private static Value Rotation(GraphBuilder g, Value table, ElementType type) => type == ElementType.Float ? table : Whole(g, table);

    private static Value Scale(GraphBuilder g, Value x) => g.Pow(g.Scalar(2, x), Whole(g, x)) * (1.0 / 64);

    private static Value Exact(GraphBuilder g, Value x) => Whole(g, x * 64) * (1.0 / 64);

    private static Value Whole(GraphBuilder g, Value x) => g.Emit("Floor", [x], x.Type, x.Shape);

    private static Value[] Lengths(GraphBuilder g, int[] keys) =>
        [g.Constant(TensorData.Of(ElementType.Int32, [keys.Length], [.. keys.Select(k => k - 1)])), g.Constant(TensorData.Scalar(keys.Max(), ElementType.Int32))];

    private static Value[] Places(GraphBuilder g, (int Slot, int Position)[] tokens) =>
        [GradientCases.Ints(g, [1, tokens.Length], [.. tokens.Select(token => (long)token.Slot)]), GradientCases.Ints(g, [1, tokens.Length], [.. tokens.Select(token => (long)token.Position)])];
}
