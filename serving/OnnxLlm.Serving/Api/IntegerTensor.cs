using System.Collections.Immutable;
using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>A tensor of whole numbers as the Open Inference Protocol has it in JSON: its data row by row, flat or nested.</summary>
internal sealed record IntegerTensor(ImmutableArray<long> Shape, long[] Values)
{
    private const int MostDimensions = 8;

    /// <summary>Null where there is a mistake, which <paramref name="body"/> then knows.</summary>
    public static IntegerTensor? Read(RequestBody body, JsonElement tensor, string name)
    {
        var fields = new RequestBody(tensor);
        var (type, shape) = (fields.Text("datatype"), fields.List("shape", MostDimensions).Select(size => fields.Integer("shape", size, 0, int.MaxValue) ?? 0).Select(size => (long)size).ToImmutableArray());
        if (type is not ("INT64" or "INT32")) body.Refuse("inputs", type == "FP16" ? $"'{name}': FP16 has no form in JSON; send INT64." : $"'{name}' must be INT64 or INT32, not {type ?? "without a type"}.");
        if (fields.Element("data") is not { ValueKind: JsonValueKind.Array } data) body.Refuse("inputs", $"'{name}' has no 'data'.");
        else if (fields.Error is null && body.Error is null) return Read(body, data, name, shape);
        if (fields.Error is { } error) body.Refuse("inputs", $"'{name}': {error.Message}");
        return null;
    }

    private static IntegerTensor? Read(RequestBody body, JsonElement data, string name, ImmutableArray<long> shape)
    {
        var values = new List<long>();
        var isWhole = Flatten(data, 0, values);
        if (!isWhole) body.Refuse("inputs", $"The data of '{name}' must be integers.");
        else if (values.Count != shape.Aggregate(1.0, (count, size) => count * size)) body.Refuse("inputs", $"'{name}' has {values.Count} values, which do not fill the shape [{string.Join(", ", shape)}].");
        return body.Error is null ? new IntegerTensor(shape, [.. values]) : null;
    }

    private static bool Flatten(JsonElement data, int depth, List<long> values)
    {
        if (depth > MostDimensions) return false;
        foreach (var element in data.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Array && RequestBody.Whole(element) is { } value) values.Add(value);
            else if (element.ValueKind != JsonValueKind.Array || !Flatten(element, depth + 1, values)) return false;
        }

        return true;
    }
}
