using System.Text.Json;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>
/// JSON as patterns: compact, with at most one space behind a comma or colon. Numbers have at most 15 digits, so that a reader with double precision
/// reads what was written.
/// </summary>
internal static class JsonPatterns
{
    public const string Value = "value", Object = "object", Array = "array", String = "string", Number = "number", Integer = "integer", Character = "character";

    public static readonly Pattern Comma = Pattern.Sequence(Pattern.Text(","), Space), Colon = Pattern.Sequence(Pattern.Text(":"), Space);

    private static Pattern Space => Pattern.Optional(Pattern.Text(" "));

    /// <summary>The rules that every schema may use.</summary>
    public static Dictionary<string, Pattern> Rules() => new(StringComparer.Ordinal)
    {
        [Character] = Escaped(CodePoints.All),
        [String] = StringOf(Pattern.Repeat(Pattern.Rule(Character), 0, null)),
        [Integer] = Whole,
        [Number] = Pattern.Sequence(Whole, Pattern.Optional(Pattern.Sequence(Pattern.Text("."), Digits(1, 15))), Pattern.Optional(Exponent)),
        [Value] = Pattern.Either(Pattern.Rule(Object), Pattern.Rule(Array), Pattern.Rule(String), Pattern.Rule(Number), Boolean, Null),
        [Object] = ObjectOf(Pattern.Rule(Value)),
        [Array] = ArrayOf(Pattern.Rule(Value), 0, null),
    };

    public static Pattern Boolean { get; } = Pattern.Either(Pattern.Text("true"), Pattern.Text("false"));

    public static Pattern Null { get; } = Pattern.Text("null");

    public static Pattern StringOf(Pattern content) => Pattern.Sequence(Pattern.Text("\""), content, Pattern.Text("\""));

    /// <summary>Any names, each with such a value.</summary>
    public static Pattern ObjectOf(Pattern value)
    {
        var property = Pattern.Sequence(Pattern.Rule(String), Colon, value);
        return Pattern.Sequence(Pattern.Text("{"), Listed(property, 0, null), Pattern.Text("}"));
    }

    public static Pattern ArrayOf(Pattern item, int min, int? max) => Pattern.Sequence(Pattern.Text("["), Listed(item, min, max), Pattern.Text("]"));

    /// <summary>One character of a set as a JSON string writes it.</summary>
    public static Pattern Escaped(CodePoints set)
    {
        var special = CodePoints.Of((0, 0x1F), ('"', '"'), ('\\', '\\'));
        var plain = set.Except(special);
        var escapes = set.Except(special.Complement()).Ranges.SelectMany(range => Enumerable.Range(range.Low, range.High - range.Low + 1));
        Pattern[] choices = [.. escapes.Select(code => Pattern.Text(Escape((char)code)))];
        return Pattern.Either([.. plain.Ranges.IsEmpty ? [] : new[] { plain.ToUtf8() }, .. choices]);
    }

    /// <summary>A value as it stands.</summary>
    public static Pattern Literal(JsonElement value) => Pattern.Text(JsonSerializer.Serialize(value, Relaxed));

    public static JsonSerializerOptions Relaxed { get; } = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static Pattern Whole { get; } = Pattern.Sequence(
        Pattern.Optional(Pattern.Text("-")), Pattern.Either(Pattern.Text("0"), Pattern.Sequence(new BytePattern((byte)'1', (byte)'9'), Digits(0, 14))));

    private static Pattern Exponent { get; } = Pattern.Sequence(
        Pattern.Either(Pattern.Text("e"), Pattern.Text("E")), Pattern.Optional(Pattern.Either(Pattern.Text("+"), Pattern.Text("-"))), Digits(1, 2));

    private static Pattern Digits(int min, int max) => Pattern.Repeat(new BytePattern((byte)'0', (byte)'9'), min, max);

    private static Pattern Listed(Pattern item, int min, int? max)
    {
        if (max == 0) return Pattern.Nothing;
        var some = Pattern.Sequence(item, Pattern.Repeat(Pattern.Sequence(Comma, item), Math.Max(0, min - 1), max - 1));
        return min == 0 ? Pattern.Optional(some) : some;
    }

    private static string Escape(char c) => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        _ => $"\\u{(int)c:x4}",
    };
}
