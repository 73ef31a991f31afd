using System.Collections.Immutable;
using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>What <c>infer</c> is asked for: rows of tokens, and which of the outputs.</summary>
/// <param name="Batch">Rows.</param>
/// <param name="Length">Places of a row, padding included.</param>
/// <param name="Rows">Tokens of each row, without padding.</param>
/// <param name="Starts">Where in its row the first token stands.</param>
/// <param name="Outputs">Names, in the order asked for.</param>
internal sealed record InferTensors(long Batch, long Length, ImmutableArray<ImmutableArray<int>> Rows, ImmutableArray<int> Starts, ImmutableArray<string> Outputs)
{
    public const string Ids = "input_ids", Mask = "attention_mask", Logits = "logits", LastLogits = "last_logits";

    /// <summary>Null where the body has a mistake, which it then knows.</summary>
    /// <param name="vocabulary">Tokens are below this.</param>
    /// <param name="longest">Tokens that a row may have.</param>
    /// <param name="mostRows">Rows that a request may have.</param>
    public static InferTensors? Read(RequestBody body, int vocabulary, int longest, int mostRows)
    {
        var inputs = body.List("inputs", 2);
        if (inputs.Count == 0) body.Refuse("inputs", $"'inputs' must have the tensor '{Ids}'.");
        var (ids, mask) = (Tensor(body, inputs, Ids), Tensor(body, inputs, Mask));
        foreach (var input in inputs)
            if (NameOf(input) is not (Ids or Mask)) body.Refuse("inputs", $"The model has no input '{NameOf(input)}'; it has {Ids} and {Mask}.");
        if (ids is null) body.Refuse("inputs", $"The input '{Ids}' is missing.");
        if (body.Error is not null) return null;
        if (ids!.Shape is not [var batch, var length] || batch < 1 || length < 1 || batch > mostRows || length > longest)
        {
            body.Refuse("inputs", $"'{Ids}' must have the shape [batch, tokens] with at most {mostRows} rows of {longest}.");
            return null;
        }

        if (mask is not null && !mask.Shape.SequenceEqual(ids.Shape)) body.Refuse("inputs", $"'{Mask}' must have the shape of '{Ids}'.");
        else if (ids.Values.Any(id => id < 0 || id >= vocabulary)) body.Refuse("inputs", $"'{Ids}' has a token outside the vocabulary of {vocabulary}.");
        if (body.Error is not null) return null;
        var spans = Enumerable.Range(0, (int)batch).Select(row => Span(body, mask, row, (int)length)).ToArray();
        var outputs = OutputsOf(body);
        return body.Error is not null ? null : new InferTensors(batch, length, [.. spans.Select((span, row) => Row(ids.Values, row * (int)length, span))], [.. spans.Select(span => span.Start)], outputs);
    }

    private static ImmutableArray<int> Row(long[] ids, int offset, (int Start, int Length) span) => [.. ids.AsSpan(offset + span.Start, span.Length).ToArray().Select(id => (int)id)];

    /// <summary>The ones of a row of the mask, which have to stand together: padding is before the text or after it.</summary>
    private static (int Start, int Length) Span(RequestBody body, IntegerTensor? mask, int row, int length)
    {
        if (mask is null) return (0, length);
        var values = mask.Values.AsSpan(row * length, length);
        var (first, last) = (values.IndexOf(1), values.LastIndexOf(1));
        var isOne = first >= 0 && !values[first..(last + 1)].ContainsAnyExcept(1) && !values[..first].ContainsAnyExcept(0) && !values[(last + 1)..].ContainsAnyExcept(0);
        if (!isOne) body.Refuse("inputs", $"Row {row} of '{Mask}' must be ones in one piece, with zeros before or after.");
        return isOne ? (first, last - first + 1) : (0, 0);
    }

    private static ImmutableArray<string> OutputsOf(RequestBody body)
    {
        ImmutableArray<string> names = [.. body.List("outputs", 2).Select(output => NameOf(output) ?? "")];
        if (names.FirstOrDefault(name => name is not (Logits or LastLogits)) is { } unknown) body.Refuse("outputs", $"The model has no output '{unknown}'; it has {Logits} and {LastLogits}.");
        return names.IsEmpty ? [Logits] : names;
    }

    private static string? NameOf(JsonElement tensor) =>
        tensor.ValueKind == JsonValueKind.Object && tensor.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String ? RequestBody.Unicode(name.GetString) : null;

    private static IntegerTensor? Tensor(RequestBody body, IReadOnlyList<JsonElement> inputs, string name)
    {
        var found = inputs.Where(input => NameOf(input) == name).ToArray();
        if (found.Length > 1) body.Refuse("inputs", $"The input '{name}' comes twice.");
        return found.Length == 1 ? IntegerTensor.Read(body, found[0], name) : null;
    }
}
