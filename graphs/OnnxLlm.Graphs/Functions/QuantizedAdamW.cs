using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// <see cref="AdamW"/> whose moments are kept in 8 bits an element, and one scale for each <see cref="Block"/> of them in the order in which they lie (Dettmers et al., 2021). The update is computed from the
/// moments before they are rounded. A code c stands for scale · c·|c| / 127² in the first moment, and for scale · (c + 128)² / 255² in the root of the second: steps grow with the value, since an update
/// needs every element's ratio of the two, not its share of the largest.
/// <para>
/// A number between those of two codes gets the upper one where its share of the way is at least 1 − a, and a, the fraction of <c>dither</c> plus a multiple of √2 that depends on the place in the block, differs from
/// step to step. Over steps whose dithers are evenly distributed that leaves the mean where it was, while rounding to the nearest would never follow an average that moves by less than half a step at a time. The
/// lowest number of a second moment is that of 1, not 0: beside larger ones none becomes so small that a change is divided by epsilon alone.
/// </para>
/// </summary>
public static class QuantizedAdamW
{
    /// <summary>Elements that share a scale. An update treats a tensor of a multiple of so many elements.</summary>
    public const int Block = 64;

    /// <summary>The largest code of the first moment, and of the second, counted from its lowest.</summary>
    public const int LargestFirst = 127, LargestSecond = 255;

    /// <summary>A block whose largest value is not above this keeps nothing: its reciprocal would overflow.</summary>
    public const float Smallest = 1e-30f;

    /// <summary>What is added to the dither at each place of a block.</summary>
    public static ImmutableArray<float> Places { get; } = [.. Enumerable.Range(0, Block).Select(i => (float)(i * Math.Sqrt(2) % 1))];

    public static Function Forward { get; } = new()
    {
        Name = "QuantizedAdamW",
        Inputs =
        [
            new("parameter", ["N", "D"]), new("gradient", ["N", "D"]),
            new("m", ElementType.Int8, ["N", "D"]), new("m_scale", ["B"]), new("v", ElementType.Int8, ["N", "D"]), new("v_scale", ["B"]),
            new("learning_rate", []), new("gradient_scale", []), new("bias1", []), new("bias2", []), new("dither", []),
        ],
        Outputs = ["new_parameter", "new_m", "new_m_scale", "new_v", "new_v_scale"],
        Attributes = [("beta1", 0.9f), ("beta2", 0.95f), ("epsilon", 1e-8f), ("weight_decay", 0f)],
        Infer = (inputs, _) => Infer(inputs),
        Body = (g, inputs) =>
        {
            var (parameter, scale, rate) = (inputs[0], inputs[7], inputs[6]);
            var (beta1, beta2) = (g.FloatAttribute("beta1", parameter), g.FloatAttribute("beta2", parameter));
            Value Blocks(Value x) => g.Reshape(x, ["B", Block]);
            Value Codes(Value x) => g.CastLike(Blocks(x), parameter);
            Value Scales(Value x, double unit) => g.Unsqueeze(x, 1) * unit;

            var (oldFirst, oldSecond, gradient) = (Codes(inputs[2]), Codes(inputs[4]) + (LargestFirst + 1), Blocks(inputs[1]) * scale);
            var oldRoot = oldSecond * oldSecond * Scales(inputs[5], 1.0 / (LargestSecond * LargestSecond));
            var m = oldFirst * g.Abs(oldFirst) * Scales(inputs[3], 1.0 / (LargestFirst * LargestFirst)) * beta1 + gradient * (1 - beta1);
            var root = g.Sqrt(oldRoot * oldRoot * beta2 + gradient * gradient * (1 - beta2));

            var whole = Blocks(parameter);
            var decayed = whole - whole * (rate * g.FloatAttribute("weight_decay", parameter));
            var updated = decayed - m * (rate / inputs[8]) / (root * g.Reciprocal(g.Sqrt(inputs[9])) + g.FloatAttribute("epsilon", parameter));

            var places = g.CastLike(g.Constant(TensorData.Of(ElementType.Float, [Block], [.. Places])), scale) + inputs[10];
            var added = places - g.Floor(places);
            var (firstScale, secondScale) = (Largest(g, g.Abs(m)), Largest(g, root));
            var first = Rounded(g, g.Abs(m), firstScale, LargestFirst, added);
            var second = Rounded(g, root, secondScale, LargestSecond, added);
            var chosen = Updates.WhereFinite(
                g, scale, (updated, whole),
                (g.Where(g.Less(m, g.Scalar(0, m)), g.Neg(first), first), oldFirst), (Flat(g, firstScale), inputs[3]),
                (g.Max(second, g.Scalar(1, m)), oldSecond), (Flat(g, secondScale), inputs[5]));
            return
            [
                g.ReshapeLike(chosen[0], parameter),
                g.ReshapeLike(g.Cast(chosen[1], ElementType.Int8), inputs[2]), chosen[2],
                g.ReshapeLike(g.Cast(chosen[3] - (LargestFirst + 1), ElementType.Int8), inputs[4]), chosen[4],
            ];
        },
    };

    /// <summary>The largest of each block, [B, 1], or 0 where that is too small.</summary>
    private static Value Largest(GraphBuilder g, Value x)
    {
        var largest = g.ReduceMax(x, keepDimensions: true, 1);
        return g.Where(g.Less(g.Scalar(Smallest, x), largest), largest, g.Scalar(0, x));
    }

    /// <summary>
    /// √(x / scale) in so many steps, rounded up where its square, s, is at least 1 − added of the way from the one below to the one above: the largest code c with s ≥ (c − 1)² + (1 − added)(2c − 1), which is the floor of
    /// added + √(s − added + added²).
    /// </summary>
    private static Value Rounded(GraphBuilder g, Value x, Value scale, int largest, Value added)
    {
        var zero = g.Scalar(0, x);
        var square = x * g.Where(g.Less(zero, scale), g.Scalar(largest * largest, x) / scale, zero);      // 0 · ∞ would be no number
        return g.Min(g.Floor(added + g.Sqrt(g.Max(square - added + added * added, zero))), g.Scalar(largest, x));
    }

    private static Value Flat(GraphBuilder g, Value scales) => g.Reshape(scales, ["B"]);

    private static IEnumerable<(ElementType Type, TensorShape Shape)> Infer(IReadOnlyList<Value> inputs)
    {
        var matrices = Updates.SameShape("QuantizedAdamW", [inputs[0], inputs[1], inputs[2], inputs[4]]).ToArray();
        if (inputs[0].Shape.IsKnown && inputs[0].Shape.ElementCount % Block != 0)
            throw new GraphException($"QuantizedAdamW treats blocks of {Block} elements, got a parameter of shape {inputs[0].Shape}.");
        return [matrices[0], matrices[2], (inputs[3].Type, inputs[3].Shape), matrices[3], (inputs[5].Type, inputs[5].Shape)];
    }
}
