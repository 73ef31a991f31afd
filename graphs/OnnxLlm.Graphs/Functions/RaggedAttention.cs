using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// <see cref="CachedAttention"/> of new tokens that stand in one row, qkv [1, N, (H + 2G)·K], whatever sequences they belong to: each has the slot of its sequence in the cache
/// and its position there. All new keys and values are written first; then a token attends to the positions of its slot up to its own. So pieces of prompts and single tokens of other sequences go through a
/// model together. There is one for each form of that function, with its further inputs.
/// </summary>
public static class RaggedAttention
{
    public static ImmutableArray<Function> Forms { get; } = [.. CachedAttention.Forms.Select(Of)];

    /// <summary>The one that stands for a form of <see cref="CachedAttention"/>.</summary>
    public static string NameOf(string form) => "Ragged" + form;

    private static Function Of(Function form)
    {
        TensorShape cache = ["slots", "G", "L", "K"];
        return new()
        {
            Name = NameOf(form.Name),
            Inputs =
            [
                new("qkv", [1, "N", "(H+2G)*K"]), form.Inputs[1] with { Shape = cache }, form.Inputs[2] with { Shape = cache },
                new("token_slots", ElementType.Int64, [1, "N"]), new("token_positions", ElementType.Int64, [1, "N"]), .. form.Inputs[5..],
            ],
            Outputs = form.Outputs,
            Attributes = form.Attributes,
            Infer = (inputs, attributes) =>
                [(inputs[0].Type, inputs[0].Shape.With(2, attributes.Int(CachedAttention.Heads) * inputs[1].Shape[3].Value)), (inputs[1].Type, inputs[1].Shape), (inputs[2].Type, inputs[2].Shape)],
            Body = (g, inputs) => Attend(g, form, inputs),
        };
    }

    /// <summary>Each token as a row of its own over a copy of its slot: once for what it writes there, then, with the keys and values of all tokens in their slots, for what it reads.</summary>
    private static Value[] Attend(GraphBuilder g, Function form, IReadOnlyList<Value> inputs)
    {
        Value rows = g.Transpose(inputs[0], 1, 0, 2), slots = g.Reshape(inputs[3], ["N"]), positions = g.Reshape(inputs[4], ["N"]);
        Value lengths = g.Cast(positions, ElementType.Int32), total = g.Cast(g.Reshape(g.ExtentOf(inputs[1], 2), []), ElementType.Int32);
        var written = Row(inputs[1], inputs[2]);
        var (key, value) = (Place(inputs[1], written[1]), Place(inputs[2], written[2]));
        return [g.Transpose(Row(key, value)[0], 1, 0, 2), key, value];

        Value[] Row(Value keys, Value values) => form.Body(g, [rows, g.Gather(keys, slots), g.Gather(values, slots), lengths, total, .. inputs.Skip(5)]);

        Value Place(Value cache, Value row)
        {
            Value place = g.Concat(1, g.Unsqueeze(slots, 1), g.Unsqueeze(positions, 1)), tokens = g.Transpose(cache, 0, 2, 1, 3);
            var token = g.Emit("GatherND", [g.Transpose(row, 0, 2, 1, 3), g.Unsqueeze(positions, 1)], cache.Type, ["N", "G", "K"], ("batch_dims", 1));
            return g.Transpose(g.Emit("ScatterND", [tokens, place, token], cache.Type, tokens.Shape), 0, 2, 1, 3);
        }
    }
}
