using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Engine.Constraints;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

public sealed class ConstraintTests : IDisposable
{
    private const string Person = """
        {"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer"},"tags":{"type":"array","items":{"enum":["a","b\"c",3]},"minItems":1,"maxItems":3},
        "mail":{"type":["string","null"],"pattern":"^[a-z]{1,5}@[a-z]+\\.(org|net)$"},"more":{"$ref":"#/$defs/node"}},"required":["name","tags","more"],"additionalProperties":false,
        "$defs":{"node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]},"on":{"type":"boolean"}},"required":["next"],"additionalProperties":false}}}
        """;

    private readonly ConstraintCache _cache = new(TestServer.Tokenizer);

    public void Dispose() => _cache.Dispose();

    public static TheoryData<string> Schemas =>
    [
        Person,
        """{"type":"object"}""",
        """{"type":"array","items":{"type":"number"},"maxItems":5}""",
        """{"type":"object","properties":{"a":{},"b":{"const":{"x":[1,"ü"]}},"c":{"type":"string","minLength":2,"maxLength":4}}}""",
        """{"type":"object","additionalProperties":{"type":"integer"}}""",
        """{"type":"object","required":["any"]}""",
        """{"type":["string","integer"],"enum":["a",1,1.5,true,null]}""",
    ];

    /// <summary>An untrained model, hot, with as few tokens as it likes: whatever it draws, the whole answer is valid.</summary>
    [Theory]
    [MemberData(nameof(Schemas))]
    public void Answers_OfAnUntrainedModel_AreAllValid(string text)
    {
        using var schema = JsonDocument.Parse(text);
        var constraint = Find(ConstraintKind.JsonSchema, text);
        for (var seed = 0; seed < 200; seed++)
        {
            var answer = ConstrainedAnswer.Of(constraint, seed, constraint.Start.Distance + seed);
            using var json = JsonDocument.Parse(answer);
            Assert.True(SchemaCheck.IsValid(json.RootElement, schema.RootElement, schema.RootElement), answer);
        }
    }

    [Theory]
    [InlineData("[0-9]{3}-[0-9]{4}")]
    [InlineData("(yes|no|maybe)( (yes|no))*")]
    [InlineData(@"\w+@\w+\.(com|org)")]
    [InlineData("[^a-zé]{2,5}x?")]
    [InlineData("(a|ab)(c|bcd)(d*)")]
    [InlineData("[ä-ü€-\U0001F600]{3}")]
    [InlineData(".{0,4}")]
    public void Answers_ToARegularExpression_MatchIt(string regex)
    {
        var constraint = Find(ConstraintKind.Regex, regex);
        var whole = new Regex($"^(?:{regex.Replace("\U0001F600", "\uFFFF", StringComparison.Ordinal)})$");
        for (var seed = 0; seed < 100; seed++)
        {
            var answer = ConstrainedAnswer.Of(constraint, seed, 30);
            // .NET's classes know no characters beyond 16 bits; one such counts as one.
            var narrow = string.Concat(answer.EnumerateRunes().Select(rune => rune.Value > 0xFFFF ? "\uFFFE" : rune.ToString()));
            Assert.Matches(whole, narrow);
        }
    }

    [Fact]
    public void Answers_ToAChoice_AreAllOfThemInTime()
    {
        var constraint = Find(ConstraintKind.Choice, """["red","green","red and green"]""");
        var answers = Enumerable.Range(0, 100).Select(seed => ConstrainedAnswer.Of(constraint, seed, 20)).Distinct().Order();
        Assert.Equal(["green", "red", "red and green"], answers);
    }

    [Fact]
    public void Answer_WithJustEnoughTokens_IsComplete()
    {
        var constraint = Find(ConstraintKind.JsonSchema, Person);
        var least = constraint.Start.Distance;
        for (var seed = 0; seed < 50; seed++) JsonDocument.Parse(ConstrainedAnswer.Of(constraint, seed, least)).Dispose();
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a/b":{"oneOf":[]}}}""", "#/properties/a~1b/oneOf")]
    [InlineData("""{"type":"integer","minimum":3}""", "#/minimum")]
    [InlineData("""{"type":"sting"}""", "#/type")]
    [InlineData("""{"$ref":"#/$defs/missing"}""", "#/$defs/missing")]
    [InlineData("""{"$ref":"https://elsewhere"}""", "#/$ref")]
    [InlineData("""{"$defs":{"a":{"type":"array","items":{"$ref":"#/$defs/a"},"minItems":1}},"$ref":"#/$defs/a"}""", "No finite text")]
    [InlineData("""{"type":"string","pattern":"(a"}""", "')' is missing")]
    [InlineData("""{"enum":[]}""", "#/enum")]
    [InlineData("""{"type":"array","minItems":3,"maxItems":2}""", "#/maxItems")]
    [InlineData("""{"type":"array","items":{"type":"array","items":{"type":"array","items":{"type":"string","maxLength":10000},"maxItems":10000},"maxItems":10000},"maxItems":10000}""", "too large")]
    [InlineData("""{"type":"string","enum":[1,2]}""", "#/enum")]
    [InlineData("""{"type":["string","null"],"const":7}""", "#/const")]
    [InlineData("{", "not valid JSON")]
    public void Schema_ThatCannotBeKept_IsRefusedWithItsPlace(string schema, string told)
    {
        var (constraint, error) = _cache.Find(new ConstraintSpec(ConstraintKind.JsonSchema, schema));
        Assert.Null(constraint);
        Assert.Equal((400, "unsupported_schema"), (error!.Status, error.Code));
        Assert.Contains(told, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a{2")]
    [InlineData("(?=a)b")]
    [InlineData(@"(a)\1")]
    [InlineData("[a")]
    [InlineData("*")]
    [InlineData("a**")]
    [InlineData("((a{9999}){9999}){9999}")]
    [InlineData(@"\b")]
    [InlineData("")]
    public void Regex_ThatIsNone_IsRefused(string regex) =>
        Assert.Equal(400, _cache.Find(new ConstraintSpec(ConstraintKind.Regex, regex)).Error!.Status);

    /// <summary>Rules that are nothing but each other: followed call by call there are three ways to the depth of 64.</summary>
    [Fact]
    public void Schema_OfRulesThatAreEachOther_HasWhatIsNoRule()
    {
        const string Circle = """
            {"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/c"},{"const":1}]},"b":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/c"},{"const":2}]},
            "c":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"},{"type":"array","items":{"$ref":"#/$defs/a"},"minItems":1,"maxItems":1}]}}}
            """;
        var constraint = Find(ConstraintKind.JsonSchema, Circle);
        var answers = Enumerable.Range(0, 100).Select(seed => ConstrainedAnswer.Of(constraint, seed, 9)).ToHashSet();
        Assert.Superset(new HashSet<string> { "1", "2" }, answers);
        Assert.All(answers, answer => Assert.Matches(@"^\[*[12]\]*$", answer));
    }

    /// <summary>A property may be called like the place of another one's rest.</summary>
    [Fact]
    public void Schema_WithMisleadingNames_IsKept()
    {
        const string Text = """{"type":"object","properties":{"a":{"type":"object","properties":{"x":{"const":1},"y":{"const":2}},"required":["x","y"]},"a from 0":{"const":3},"a from 1":{"const":4}},"required":["a","a from 0","a from 1"]}""";
        Assert.Equal("""{"a":{"x":1,"y":2},"a from 0":3,"a from 1":4}""", ConstrainedAnswer.Of(Find(ConstraintKind.JsonSchema, Text), 1, 1000).Replace(" ", "", StringComparison.Ordinal).Replace("from", " from ", StringComparison.Ordinal));
    }

    public static TheoryData<string, string> Monsters => new()
    {
        { "many required names", Braces($"\"required\":[{Names(90_000)}],\"type\":\"object\"") },
        { "many properties", Braces($"\"type\":\"object\",\"properties\":{Members(20_000)}") },
        { "many properties of one with a long name", Braces($"\"type\":\"object\",\"properties\":{Braces($"\"{new string('n', 500_000)}\":{Braces($"\"properties\":{Members(20_000)}")}")}") },
        { "many rules", Braces($"\"$ref\":\"#/$defs/p0\",\"$defs\":{Braces(string.Join(',', Enumerable.Range(0, 20_000).Select(i => $"\"p{i}\":{Braces($"\"$ref\":\"#/$defs/p{i + 1}\"")}")))}") },
        { "many annotations", Braces($"{string.Concat(Enumerable.Repeat("\"title\":1,", 40_000))}{string.Concat(Enumerable.Repeat("\"x\":1,", 40_000))}\"type\":\"null\"") },
        { "a long text", Braces($"\"const\":\"{new string('c', 2_000_000)}\"") },
        { "a long pattern", Braces($"\"type\":\"string\",\"pattern\":\"{new string('.', 900_000)}\"") },
    };

    /// <summary>On a thread whose stack is a fraction of the usual: what is nested by thousands must not end the process.</summary>
    [Theory]
    [MemberData(nameof(Monsters))]
    public void Schema_OfMonstrousSize_IsRefused(string what, string schema)
    {
        var (constraint, error) = OnASmallStack(() => _cache.Find(new ConstraintSpec(ConstraintKind.JsonSchema, schema)));
        Assert.True(constraint is null, what);
        Assert.Equal("unsupported_schema", error!.Code);
        Assert.InRange(error.Message.Length, 1, 1000);
    }

    [Fact]
    public void Regex_WithAClassOfThousands_IsKept()
    {
        var every = string.Concat(Enumerable.Range(0, 8000).Select(i => (char)(0x100 + 2 * i)));
        Assert.Contains(Assert.Single(ConstrainedAnswer.Of(Find(ConstraintKind.Regex, $"[{every}]"), 1, 9)), every);
    }

    private static string Names(int count) => string.Join(',', Enumerable.Range(0, count).Select(i => $"\"p{i}\""));

    private static string Members(int count) => Braces(string.Join(',', Enumerable.Range(0, count).Select(i => $"\"p{i}\":{{\"type\":\"null\"}}")));

    private static string Braces(string inside) => $"{{{inside}}}";

    private static T OnASmallStack<T>(Func<T> compute)
    {
        T? result = default;
        var thread = new Thread(() => result = compute(), maxStackSize: 256 << 10);
        thread.Start();
        thread.Join();
        return result!;
    }

    [Fact]
    public void Find_OfTheSameAgain_CompilesNothing() =>
        Assert.Same(Find(ConstraintKind.JsonSchema, Person), Find(ConstraintKind.JsonSchema, Person));

    [Fact]
    public void Positions_ThatALongAnswerHasLeft_AreForgotten()
    {
        const int Length = 9000;
        var constraint = Find(ConstraintKind.Regex, $"[ab]{{{Length}}}");
        var token = TestServer.Tokenizer.Encode("a")[0];
        var position = constraint.Start;
        for (var step = 0; step < Length - 1; step++)
        {
            constraint.Mask(position);
            position = constraint.After(position, token)!;
        }

        Assert.Equal(1, position.Distance);
        Assert.InRange(Reachable(constraint.Start), 1, Length / 2);
    }

    /// <summary>Positions that one keeps in memory.</summary>
    private static int Reachable(Position start)
    {
        var (seen, open) = (new HashSet<Position> { start }, new Queue<Position>([start]));
        while (open.TryDequeue(out var position))
            for (var b = 0; b <= byte.MaxValue; b++)
                if (position.IsKnown((byte)b, out var next) && next is not null && seen.Add(next)) open.Enqueue(next);
        return seen.Count;
    }

    /// <summary>Members name each other in a chain, which may be longer than the stack is deep.</summary>
    [Theory]
    [InlineData(1000, false)]
    [InlineData(2000, true)]
    [InlineData(100_000, false)]
    public void Schema_OfManyMembers_IsCompiledOrRefused(int members, bool areRequired)
    {
        var names = Enumerable.Range(0, members).Select(i => $"\"{i}\"").ToArray();
        var required = areRequired ? $",\"required\":[{string.Join(',', names)}]" : "";
        var text = $$"""{"type":"object","properties":{{{string.Join(',', names.Select(name => name + ":{\"type\":\"null\"}"))}}}{{required}}}""";
        var (constraint, error) = _cache.Find(new ConstraintSpec(ConstraintKind.JsonSchema, text));
        Assert.Equal(members > 2000, error is not null);
        if (constraint is not null) Assert.Equal(areRequired ? 2 + names.Sum(name => name.Length + ":null,".Length) - 1 : 2, constraint.Start.Distance);
    }

    /// <summary>Each rule's shortest text is known only when that of the rule before is.</summary>
    [Fact]
    public void Grammar_OfRulesInAChain_IsMeasuredInWorkLinearInItsEdges()
    {
        const int Rules = 5000;
        var rules = Enumerable.Range(0, Rules).ToDictionary(i => $"{i}", i => i == 0 ? Pattern.Text("a") : Pattern.Sequence(Pattern.Text("a"), Pattern.Rule($"{i - 1}")));
        var grammar = new Grammar(Pattern.Sequence([.. rules.Keys.Select(Pattern.Rule)]), rules);
        Assert.Equal(Rules * (Rules + 1) / 2, grammar.Distance(grammar.Root.Start));
        Assert.InRange(grammar.Looks, 1, 2 * Enumerable.Range(0, grammar.States).Sum(state => grammar[state].Count));
    }

    private Constraint Find(ConstraintKind kind, string text)
    {
        var (constraint, error) = _cache.Find(new ConstraintSpec(kind, text));
        Assert.True(constraint is not null, error?.Message);
        return constraint;
    }
}
