using System.Text.Json;

namespace OnnxLlm.Tests.Serving;

/// <summary>Fields that say what an answer must look like, from right to nonsense: schemas that refer to themselves, expressions that do not close, choices of nothing.</summary>
internal static class ConstraintFuzz
{
    private static readonly string[] Leaves =
        ["true", "false", "{}", "null", "7", "[]", "\"string\"", "{\"type\":\"string\"}", "{\"type\":\"integer\"}", "{\"type\":\"boolean\"}", "{\"$ref\":\"#\"}", "{\"$ref\":\"#/$defs/a\"}"];

    private static readonly string[] Types =
        ["\"object\"", "\"array\"", "\"string\"", "\"number\"", "\"integer\"", "\"boolean\"", "\"null\"", "[\"string\",\"null\"]", "[\"array\",\"object\"]", "\"\"", "\"king\"", "7", "[]", "[7]"];

    private static readonly string[] References = ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/anyOf/0", "#/anyOf/9", "#/", "#a", "", "http://x/", "#/$defs/%zz", "#/title"];

    private static readonly string[] Counts = ["0", "1", "2", "3", "100", "-1", "1.5", "1e9", "10001", "\"1\"", "null"];

    private static readonly string[] Values = ["null", "true", "0", "-0.0", "1e999", "\"\"", "\"a\"", "\"é🎈\\u0000\"", "\"\\ud800\"", "[1,[]]", "{\"a\":{}}"];

    private static readonly string[] Names = ["a", "b", "", "a from 0", "~1/", "é", "\\u0000", "\\ud800"];

    private static readonly string[] Pieces =
    [
        "a", "b", "é", "🎈", ".", @"\d", @"\w+", "[a-z]", "[^x]", @"[\ud800-\udfff]", "(", "(", "(?:", ")", ")", "|", "*", "+", "?", "{2}", "{1,3}", "{0}", "{3,1}", "{99999}", "{,2}", "^", "$", "\\",
        @"\x41", @"\u0041", @"\ud800", @"\S", "[", "]", "-", "[z-a]", "[]", "(?=a)", @"\b", @"\1", "{200}", "(a|b)*c", "(a*)*", "\"", "\n",
    ];

    public static string Field(Random random) => random.Next(9) switch
    {
        0 => """ "response_format":{"type":"json_object"} """,
        1 or 2 => $$$""" "response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":{{{Schema(random, 0)}}}}} """,
        3 => $""" "guided_json":{Schema(random, 0)} """,
        4 => $$""" "structured_outputs":{"json":{{JsonSerializer.Serialize(Schema(random, 0))}}} """,
        5 => $""" "guided_regex":{JsonSerializer.Serialize(Regex(random))} """,
        6 => $$""" "structured_outputs":{"regex":{{JsonSerializer.Serialize(Regex(random))}},"json_object":true} """,
        7 => $""" "guided_choice":[{Several(random, 3, () => Pick(random, Values))}] """,
        _ => $$""" "structured_outputs":{"choice":[{{Several(random, 3, () => JsonSerializer.Serialize(Regex(random)))}}]} """,
    };

    /// <summary>Functions on offer, in the form of chats or, where the definition stands beside the type, of responses.</summary>
    public static string Tools(Random random) => $$"""
         "tools":[{{Several(random, 3, () => Tool(random))}}],"tool_choice":{{Pick(random, ["\"auto\"", "\"auto\"", "\"required\"", "\"required\"", "\"required\"", "\"none\"", "{\"type\":\"function\",\"function\":{\"name\":\"a\"}}", "{\"type\":\"function\",\"name\":\"a\"}", "7"])}}
        """;

    private static string Tool(Random random)
    {
        var definition = $"\"name\":\"{Pick(random, ["a", "b", "c", "d", "e_-9", "f", "g", "h", "é", ""])}\",\"strict\":{Pick(random, ["true", "false", "false", "null", "7"])},\"parameters\":{Parameters(random)}";
        return random.Next(9) == 0 ? $"{{\"type\":\"function\",{definition}}}" : $"{{\"type\":\"function\",\"function\":{{{definition}}}}}";
    }

    private static string Parameters(Random random) => random.Next(4) switch
    {
        0 => Schema(random, 0),
        1 => Pick(random, Leaves),
        _ => $"{{\"type\":\"object\",\"properties\":{Named(random, 1)}}}",
    };

    private static string Schema(Random random, int depth) =>
        depth > 3 || random.Next(12) == 0 ? Pick(random, Leaves) : $"{{{Several(random, 4, () => Keyword(random, depth + 1))}}}";

    private static string Keyword(Random random, int depth) => random.Next(18) switch
    {
        0 or 1 => $"\"type\":{Pick(random, Types)}",
        2 or 3 => $"\"properties\":{Named(random, depth)}",
        4 => $"\"required\":[{Several(random, 3, () => $"\"{Pick(random, Names)}\"")}]",
        5 => $"\"additionalProperties\":{Schema(random, depth)}",
        6 or 7 => $"\"items\":{Schema(random, depth)}",
        8 => $"\"{Pick(random, ["minItems", "maxItems"])}\":{Pick(random, Counts)}",
        9 => $"\"{Pick(random, ["minLength", "maxLength"])}\":{Pick(random, Counts)}",
        10 => $"\"pattern\":{JsonSerializer.Serialize(Regex(random))}",
        11 => $"\"enum\":[{Several(random, 3, () => Pick(random, Values))}]",
        12 => $"\"const\":{Pick(random, Values)}",
        13 or 14 => $"\"{Pick(random, ["anyOf", "anyOf", "allOf", "oneOf"])}\":[{Several(random, 3, () => Schema(random, depth))}]",
        15 => $"\"$ref\":\"{Pick(random, References)}\"",
        16 => $"\"$defs\":{Named(random, depth)}",
        _ => $"\"{Pick(random, ["title", "description", "multipleOf", "format", ""])}\":{Pick(random, Values)}",
    };

    private static string Named(Random random, int depth) => $"{{{Several(random, 3, () => $"\"{Pick(random, Names)}\":{Schema(random, depth)}")}}}";

    private static string Regex(Random random) => string.Concat(Enumerable.Range(0, random.Next(9)).Select(_ => Pick(random, Pieces)));

    private static string Several(Random random, int most, Func<string> one) => string.Join(',', Enumerable.Range(0, random.Next(most + 1)).Select(_ => one()));

    private static string Pick(Random random, string[] from) => from[random.Next(from.Length)];
}
