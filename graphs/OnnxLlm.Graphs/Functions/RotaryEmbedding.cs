namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Rotary position embedding (Su et al., 2021) in the convention of Hugging Face: within each head, element i of the first half and element i of the
/// second half are one complex number, turned by the angle of its position. Turning back, by the negative sine, is the gradient.
/// </summary>
internal static class RotaryEmbedding
{
    internal static Function Forward { get; } = new()
    {
        Name = "RotaryEmbedding",
        Inputs = [new("x", ["B", "T", "H*K"]), new("cos", ["T", "K/2"]), new("sin", ["T", "K/2"])],
        Outputs = ["y"],
        Attributes = [("heads", 1)],
        Infer = Infer,
        Body = (g, inputs) =>
        {
            var (x, cos, sin) = (inputs[0], g.Unsqueeze(inputs[1], 1), g.Unsqueeze(inputs[2], 1));
            var shape = g.Concat(0, g.Int64s(0, 0), g.IntAttribute("heads"), g.Int64s(-1));
            var heads = g.Emit("Reshape", [x, shape], x.Type, ["B", "T", "H", "K"]);
            TensorShape half = ["B", "T", "H", "K/2"];
            var halves = g.Emit("Split", [heads], [(x.Type, half), (x.Type, half)], new Attributes(("axis", -1), ("num_outputs", 2)));
            var turned = g.Concat(-1, halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin);
            return [g.Emit("Reshape", [turned, g.Int64s(0, 0, -1)], x.Type, x.Shape)];
        },
        Gradient = (g, n, dy) => [Forward!.Call(g, [dy, n[1], -n[2]], ("heads", n.Attributes.Int("heads")))[0], null, null],
    };

    private static IEnumerable<(ElementType Type, TensorShape Shape)> Infer(IReadOnlyList<Value> inputs, Attributes attributes)
    {
        var (x, cos, heads) = (inputs[0].Shape, inputs[1].Shape, attributes.Int("heads"));
        if (x.Rank != 3 || cos.Rank != 2 || x[1] != cos[0] || !cos.Equals(inputs[2].Shape) || (x.IsKnown && cos[1] != x[2].Value / heads / 2))
            throw new GraphException($"RotaryEmbedding of {x} with {heads} heads needs cos and sin of shape [T, K/2], got {cos} and {inputs[2].Shape}.");
        return [(inputs[0].Type, x)];
    }
}
