using System.Globalization;
using System.Text.Json;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>
/// Turns a JSON schema into a grammar: types, properties in their order, required ones, items and their number, lengths, enum, const, anyOf, patterns and
/// references. A keyword that would be broken silently is refused with the place where it stands.
/// </summary>
internal sealed class JsonSchema
{
    private const int DeepestSchema = 64;
    private const int MostRepeats = 10_000;
    private const int MostRules = 8192;
    private const int LongestPlace = 4096;
    private const int LongestTold = 200;

    private static readonly HashSet<string> Annotations = new(
        ["title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly", "$defs", "definitions"], StringComparer.Ordinal);

    private readonly JsonElement _root;
    private readonly Dictionary<string, Pattern?> _rules;
    private int _depth;

    private JsonSchema(JsonElement root)
    {
        _root = root;
        _rules = new(JsonPatterns.Rules().Select(rule => KeyValuePair.Create(rule.Key, (Pattern?)rule.Value)), StringComparer.Ordinal);
    }

    /// <param name="around">Makes the whole text of the value's pattern; null where the value is all of it.</param>
    /// <exception cref="ConstraintException">The schema is malformed or uses what is not available.</exception>
    public static Grammar Compile(JsonElement schema, Func<Pattern, Pattern>? around = null)
    {
        var compiler = new JsonSchema(schema);
        var root = compiler.Read(schema, "#");
        return new Grammar(around?.Invoke(root) ?? root, compiler.Complete());
    }

    /// <summary>Refuses what <see cref="Compile"/> would refuse for its keywords, in time linear in the schema's length.</summary>
    /// <exception cref="ConstraintException">The schema is malformed or uses what is not available.</exception>
    public static void Check(JsonElement schema) => new JsonSchema(schema).Read(schema, "#");

    /// <summary>Any one JSON object.</summary>
    public static Grammar AnyObject() => new(Pattern.Rule(JsonPatterns.Object), JsonPatterns.Rules());

    private Dictionary<string, Pattern> Complete() => _rules.ToDictionary(rule => rule.Key, rule => rule.Value ?? Pattern.Nothing, StringComparer.Ordinal);

    private Pattern Read(JsonElement schema, string at)
    {
        if (schema.ValueKind == JsonValueKind.True) return Pattern.Rule(JsonPatterns.Value);
        if (schema.ValueKind != JsonValueKind.Object) throw Refused(at, "a schema must be an object");
        if (++_depth > DeepestSchema || at.Length > LongestPlace) throw Refused(at, "the schema is nested too deeply");
        var pattern = Read(new SchemaObject(schema, at));
        _depth--;
        return pattern;
    }

    private Pattern Read(SchemaObject schema)
    {
        foreach (var name in Annotations) schema.Use(name);
        var pattern = schema switch
        {
            _ when schema.Use("$ref") is { } reference => Reference(schema, reference),
            _ when schema.Use("const") is { } value => Literals(schema, "const", [value]),
            _ when schema.Use("enum") is { } values => Literals(schema, "enum", Elements(schema, "enum", values)),
            _ when schema.Use("anyOf") is { } choices => Pattern.Either([.. Elements(schema, "anyOf", choices).Select((choice, i) => Read(choice, $"{schema.At}/anyOf/{i}"))]),
            _ when schema.Use("allOf") is { } all => Elements(schema, "allOf", all) is [var only] ? Read(only, $"{schema.At}/allOf/0") : throw Refused($"{schema.At}/allOf", "only one schema is possible"),
            _ => Typed(schema),
        };
        if (schema.Unused() is { } unknown) throw Refused($"{schema.At}/{unknown}", "this keyword is not available");
        return pattern;
    }

    /// <summary>One of the values, of those that are of the type beside them.</summary>
    private static Pattern Literals(SchemaObject schema, string keyword, JsonElement[] values)
    {
        if (Types(schema) is { } types) values = [.. values.Where(value => types.Any(type => Is(value, type)))];
        return values.Length > 0 ? Pattern.Either([.. values.Select(JsonPatterns.Literal)]) : throw Refused($"{schema.At}/{keyword}", "nothing there is of the type");
    }

    private static bool Is(JsonElement value, string type) => type switch
    {
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number == Math.Floor(number),
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        _ => Enum.TryParse<JsonValueKind>(type, ignoreCase: true, out var kind) && value.ValueKind == kind,
    };

    private Pattern Typed(SchemaObject schema)
    {
        var types = Types(schema) ?? (schema.Has("properties") ? ["object"] : schema.Has("items") ? ["array"] : ["any"]);
        return Pattern.Either([.. types.Select(type => OfType(schema, type))]);
    }

    /// <summary>The types that the schema names; null where it names none.</summary>
    private static string[]? Types(SchemaObject schema) => schema.Use("type") switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } one => [one.GetString()!],
        { ValueKind: JsonValueKind.Array } several when several.EnumerateArray().All(type => type.ValueKind == JsonValueKind.String) && several.GetArrayLength() > 0 => [.. several.EnumerateArray().Select(type => type.GetString()!)],
        _ => throw Refused($"{schema.At}/type", "a type or a list of types is expected"),
    };

    private Pattern OfType(SchemaObject schema, string type) => type switch
    {
        "object" => Object(schema),
        "array" => Array(schema),
        "string" => String(schema),
        "number" => Pattern.Rule(JsonPatterns.Number),
        "integer" => Pattern.Rule(JsonPatterns.Integer),
        "boolean" => JsonPatterns.Boolean,
        "null" => JsonPatterns.Null,
        "any" => Pattern.Rule(JsonPatterns.Value),
        _ => throw Refused($"{schema.At}/type", $"there is no type '{type}'"),
    };

    private Pattern Object(SchemaObject schema)
    {
        var more = schema.Use("additionalProperties");
        var required = schema.Use("required") is { } list ? Elements(schema, "required", list).Select(name => name.ValueKind == JsonValueKind.String ? name.GetString()! : throw Refused($"{schema.At}/required", "names are expected")).ToHashSet(StringComparer.Ordinal) : [];
        var properties = schema.Use("properties");
        if (properties is null && required.Count == 0)
            return more switch
            {
                { ValueKind: JsonValueKind.False } => Pattern.Text("{}"),
                { ValueKind: JsonValueKind.Object } value => JsonPatterns.ObjectOf(Named(value, $"{schema.At}/additionalProperties")),
                _ => Pattern.Rule(JsonPatterns.Object),
            };
        if (properties is { ValueKind: not JsonValueKind.Object }) throw Refused($"{schema.At}/properties", "an object is expected");
        var declared = properties?.EnumerateObject().DistinctBy(property => property.Name).Select(property => (property.Name, Value: Named(property.Value, $"{schema.At}/properties/{Pointer(property.Name)}"))).ToList() ?? [];
        foreach (var name in required.Except(declared.Select(property => property.Name)).ToArray())
            declared.Add(more is { ValueKind: JsonValueKind.False } ? throw Refused($"{schema.At}/required", $"'{name}' is not among the properties") : (name, Pattern.Rule(JsonPatterns.Value)));
        return Pattern.Sequence(Pattern.Text("{"), Properties(schema.At, [.. declared.Select(property => (Member(property.Name, property.Value), required.Contains(property.Name)))]), Pattern.Text("}"));
    }

    private static Pattern Member(string name, Pattern value) =>
        Pattern.Sequence(Pattern.Text(JsonSerializer.Serialize(name, JsonPatterns.Relaxed)), JsonPatterns.Colon, value);

    /// <summary>Members in their order, those that are not required left out or not. Rule i stands for the members from i on behind another one.</summary>
    private Pattern Properties(string at, (Pattern Member, bool IsRequired)[] members)
    {
        var (rest, firsts) = (Pattern.Nothing, new List<Pattern> { Pattern.Nothing });
        for (var i = members.Length - 1; i >= 0; i--)
        {
            var (member, isRequired) = members[i];
            if (isRequired) firsts.Clear();             // nothing that comes later can be the first
            firsts.Add(Pattern.Sequence(member, rest));
            var next = Pattern.Sequence(JsonPatterns.Comma, member);
            var name = $"from {i} of {at}";         // places begin with #: no property can be called like this
            Define(name, Pattern.Sequence(isRequired ? next : Pattern.Optional(next), rest));
            rest = Pattern.Rule(name);
        }

        return Pattern.Either([.. firsts]);
    }

    private Pattern Array(SchemaObject schema)
    {
        var (min, max) = (Count(schema, "minItems") ?? 0, Count(schema, "maxItems"));
        var items = schema.Use("items") is { } item ? Named(item, $"{schema.At}/items") : Pattern.Rule(JsonPatterns.Value);
        return max < min ? throw Refused($"{schema.At}/maxItems", "it is less than minItems") : JsonPatterns.ArrayOf(items, min, max);
    }

    private static Pattern String(SchemaObject schema)
    {
        var (min, max) = (Count(schema, "minLength"), Count(schema, "maxLength"));
        if (schema.Use("pattern") is not { } pattern)
            return max < min ? throw Refused($"{schema.At}/maxLength", "it is less than minLength")
                : min is null && max is null ? Pattern.Rule(JsonPatterns.String)
                : JsonPatterns.StringOf(Pattern.Repeat(Pattern.Rule(JsonPatterns.Character), min ?? 0, max));
        if (min is not null || max is not null) throw Refused($"{schema.At}/pattern", "a pattern and a length are not possible together");
        if (pattern.ValueKind != JsonValueKind.String) throw Refused($"{schema.At}/pattern", "a string is expected");
        return JsonPatterns.StringOf(new RegexParser(pattern.GetString()!, JsonPatterns.Escaped).ParseAnywhere());
    }

    private static int? Count(SchemaObject schema, string name)
    {
        if (schema.Use(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var count) && count >= 0 && count <= MostRepeats) return count;
        throw Refused($"{schema.At}/{name}", $"a number from 0 to {MostRepeats} is expected");
    }

    /// <summary>A sub-schema as a rule of its own, named by its place, so that repeating it costs one call.</summary>
    private Pattern Named(JsonElement schema, string at)
    {
        if (!_rules.ContainsKey(at))
        {
            Define(at, null);                   // a reference to it from within finds the name
            Define(at, Read(schema, at));
        }

        return Pattern.Rule(at);
    }

    private void Define(string name, Pattern? pattern)
    {
        _rules[name] = pattern;
        if (_rules.Count > MostRules) throw new ConstraintException("The schema is too large.");
    }

    private Pattern Reference(SchemaObject schema, JsonElement reference)
    {
        var at = reference.ValueKind == JsonValueKind.String ? reference.GetString()! : "";
        if (at != "#" && !at.StartsWith("#/", StringComparison.Ordinal)) throw Refused($"{schema.At}/$ref", "only references within the schema, like #/$defs/name, are possible");
        var target = _root;
        foreach (var part in at.Split('/').Skip(1).Select(Unescaped))
            target = Inside(target, part) ?? throw Refused($"{schema.At}/$ref", $"there is no {at}");
        return Named(target, at);
    }

    private static JsonElement? Inside(JsonElement json, string part) => json.ValueKind switch
    {
        JsonValueKind.Object when json.TryGetProperty(part, out var value) => value,
        JsonValueKind.Array when int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var i) && i < json.GetArrayLength() => json[i],
        _ => null,
    };

    private static string Unescaped(string part) =>
        Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);

    private static JsonElement[] Elements(SchemaObject schema, string name, JsonElement list) =>
        list.ValueKind == JsonValueKind.Array && list.GetArrayLength() > 0 ? [.. list.EnumerateArray()] : throw Refused($"{schema.At}/{name}", "a list that is not empty is expected");

    private static string Pointer(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);

    private static ConstraintException Refused(string at, string why) => new($"The schema cannot be used at {(at.Length > LongestTold ? $"{at[..LongestTold]}…" : at)}: {why}.");

    /// <summary>A schema object that remembers which of its keywords were looked at.</summary>
    private sealed class SchemaObject(JsonElement json, string at)
    {
        private readonly HashSet<string> _used = new(StringComparer.Ordinal);

        public string At => at;

        public IEnumerable<string> Names => json.EnumerateObject().Select(property => property.Name);

        public bool Has(string name) => json.TryGetProperty(name, out _);

        public JsonElement? Use(string name)
        {
            if (!json.TryGetProperty(name, out var value)) return null;
            _used.Add(name);
            return value;
        }

        public string? Unused() => Names.FirstOrDefault(name => !_used.Contains(name));
    }
}
