using System.Buffers;
using System.Text;
using System.Text.Json;
using OnnxLlm.Serving.Engine.Constraints;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers that call functions: arguments are valid by construction, and text that may come before a call never holds the tag that begins one.</summary>
internal static class CallGrammar
{
    private const string Place = "/$defs/call";

    /// <param name="functions">Names, and JSON schemas of the arguments.</param>
    /// <param name="mayTalk">Text may come instead of calls, and before them.</param>
    /// <param name="most">Calls of one answer.</param>
    /// <exception cref="InvalidOperationException">A schema is not valid Unicode.</exception>
    public static ConstraintSpec Spec(IReadOnlyList<(string Name, JsonElement Parameters)> functions, bool mayTalk, int most)
    {
        var text = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteBoolean("mayTalk", mayTalk);
            json.WriteNumber("most", most);
            json.WriteStartObject("calls");
            json.WriteString("$ref", $"#{Place}");      // a rule of its own, however many calls there may be
            json.WriteStartObject("$defs");
            json.WriteStartObject("call");
            json.WriteStartArray("anyOf");
            for (var i = 0; i < functions.Count; i++) Write(json, functions[i].Name, functions[i].Parameters, $"{Place}/anyOf/{i}/properties/arguments");
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return new ConstraintSpec(ConstraintKind.Calls, Encoding.UTF8.GetString(text.WrittenSpan));
    }

    /// <exception cref="ConstraintException">A schema is malformed or uses what is not available.</exception>
    public static Grammar Compile(string spec)
    {
        using var json = JsonDocument.Parse(spec);
        var (mayTalk, most) = (json.RootElement.GetProperty("mayTalk").GetBoolean(), json.RootElement.GetProperty("most").GetInt32());
        return JsonSchema.Compile(json.RootElement.GetProperty("calls"), call =>
        {
            var tagged = Pattern.Sequence(Pattern.Text($"{ToolTurns.CallBegin}\n"), call, Pattern.Text($"\n{ToolTurns.CallEnd}"));
            var calls = Pattern.Sequence(tagged, Pattern.Repeat(Pattern.Sequence(Pattern.Text("\n"), tagged), 0, most - 1));
            return mayTalk ? Pattern.Sequence(TextWithout(ToolTurns.CallBegin), Pattern.Optional(calls)) : calls;
        });
    }

    private static void Write(Utf8JsonWriter json, string name, JsonElement parameters, string place)
    {
        json.WriteStartObject();
        json.WriteString("type", "object");
        json.WriteStartObject("properties");
        json.WriteStartObject("name");
        json.WriteString("const", name);
        json.WriteEndObject();
        json.WritePropertyName("arguments");
        Move(json, parameters, place);
        json.WriteEndObject();
        json.WriteStartArray("required");
        json.WriteStringValue("name");
        json.WriteStringValue("arguments");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Writes a schema that will stand elsewhere, with the references within it.</summary>
    private static void Move(Utf8JsonWriter json, JsonElement schema, string place)
    {
        switch (schema.ValueKind)
        {
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (var item in schema.EnumerateArray()) Move(json, item, place);
                json.WriteEndArray();
                break;
            case JsonValueKind.Object:
                json.WriteStartObject();
                foreach (var member in schema.EnumerateObject())
                {
                    json.WritePropertyName(member.Name);
                    if (member is { Name: "$ref", Value.ValueKind: JsonValueKind.String } && member.Value.GetString() is ['#', .. var within]) json.WriteStringValue($"#{place}{within}");
                    else Move(json, member.Value, place);
                }

                json.WriteEndObject();
                break;
            default:
                schema.WriteTo(json);
                break;
        }
    }

    /// <summary>
    /// Any text in which a tag, whose first character comes in it once, does not come: the automaton of Knuth, Morris and Pratt without its last state. A beginning of
    /// the tag is followed by another one or by a character that does not go on with it, or ends the text.
    /// </summary>
    private static Pattern TextWithout(string tag)
    {
        var (first, partial, broken) = (Pattern.Text(tag[..1]), Pattern.Nothing, Other(tag[^1], tag[0]));
        for (var i = tag.Length - 2; i > 0; i--)
        {
            var next = Pattern.Text(tag[i..(i + 1)]);
            partial = Pattern.Optional(Pattern.Sequence(next, partial));
            broken = Pattern.Either(Other(tag[i], tag[0]), Pattern.Sequence(next, broken));
        }

        var beginnings = Pattern.Repeat(Pattern.Sequence(first, partial), 0, null);
        return Pattern.Sequence(Pattern.Repeat(Pattern.Either(Other(tag[0]), Pattern.Sequence(beginnings, first, broken)), 0, null), beginnings);
    }

    private static Pattern Other(params char[] than) => CodePoints.Of(than.Select(c => ((int)c, (int)c))).Complement().ToUtf8();
}
