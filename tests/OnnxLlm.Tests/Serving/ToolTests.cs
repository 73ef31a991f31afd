using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine.Constraints;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Functions that a chat may call.</summary>
public sealed class ToolTests : IDisposable
{
    private const string Add = """{"type":"function","function":{"name":"add","description":"Adds.","parameters":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}}}""";
    private const string Note = """
        {"type":"function","function":{"name":"note-it","strict":true,"parameters":{"type":"object","properties":{"text":{"type":"string","maxLength":12},"below":{"anyOf":[{"$ref":"#/$defs/item"},{"type":"null"}]}},
        "required":["text","below"],"additionalProperties":false,"$defs":{"item":{"type":"object","properties":{"{\"name\"":{"type":"boolean"}},"required":["{\"name\""],"additionalProperties":false}}}}}
        """;
    private const string Now = """{"type":"function","function":{"name":"now"}}""";
    private const string Called = "Let me see.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": -20}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

    private static readonly JsonArray Tools = (JsonArray)JsonNode.Parse($"[{Add},{Note},{Now}]")!;

    private readonly ConstraintCache _cache = new(TestServer.Tokenizer);

    public void Dispose() => _cache.Dispose();

    /// <summary>An untrained model, with as few tokens as it likes: every call is of a function that there is, and its arguments are valid.</summary>
    [Theory]
    [InlineData("\"required\"", 16)]
    [InlineData("\"auto\"", 16)]
    [InlineData("""{"type":"function","function":{"name":"note-it"}}""", 1)]
    public void Calls_OfAnUntrainedModel_AreAllValid(string choice, int most)
    {
        var constraint = Constraint($$"""{"tools":{{Tools.ToJsonString()}},"tool_choice":{{choice}}}""");
        var calls = new List<(string Name, string Arguments)>();
        for (var seed = 0; seed < 200; seed++)
        {
            var (text, made) = Read([ConstrainedAnswer.Of(constraint, seed, constraint.Start.Distance + (2 * seed))]);
            Assert.DoesNotContain(ToolTurns.CallBegin, text, StringComparison.Ordinal);
            Assert.InRange(made.Count, choice == "\"auto\"" ? 0 : 1, most);
            if (choice != "\"auto\"") Assert.Empty(text);
            calls.AddRange(made);
        }

        foreach (var (name, arguments) in calls)
        {
            var function = Tools.Single(tool => (string?)tool!["function"]!["name"] == name)!["function"]!;
            using var value = JsonDocument.Parse(arguments);
            using var schema = JsonDocument.Parse(function["parameters"]?.ToJsonString() ?? """{"type":"object","additionalProperties":false}""");
            Assert.True(SchemaCheck.IsValid(value.RootElement, schema.RootElement, schema.RootElement), arguments);
        }

        if (choice != "\"auto\"") Assert.Equal(choice == "\"required\"" ? 3 : 1, calls.Select(call => call.Name).Distinct().Count());
    }

    /// <summary>Texts of pieces of the tag, in every order: such with the whole tag are no text, all others are.</summary>
    [Fact]
    public void Text_BeforeCalls_IsAnyWithoutTheTag()
    {
        var constraint = Constraint($$"""{"tools":[{{Now}}]}""");
        string[] pieces = ["<", "<tool", "_call", "<tool_call", ">", "tool_call>", "x", "\n", "ü", "</tool_call>", "<<tool_call"];
        var random = new Random(1);
        var without = 0;
        for (var i = 0; i < 3000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 6)).Select(_ => pieces[random.Next(pieces.Length)]));
            var position = TestServer.Tokenizer.Encode(text).Aggregate((Position?)constraint.Start, constraint.After);
            Assert.True(position is { IsEnd: true } != text.Contains(ToolTurns.CallBegin, StringComparison.Ordinal), text);
            if (position is { IsEnd: true }) without++;
        }

        Assert.InRange(without, 1000, 2900);
    }

    [Fact]
    public void Reader_OfAnAnswer_FindsTheSameHoweverItIsCut()
    {
        const string Tricky = "a < b <tool_cal> \n <tool_call>\n{\"name\":\"note-it\",\"arguments\":{\"text\": \"}\\\"{\\\\\", \"below\": [{}, {\"x\": \"</tool_call>\"}]}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
        (string, string)[] calls = [("note-it", "{\"text\": \"}\\\"{\\\\\", \"below\": [{}, {\"x\": \"</tool_call>\"}]}"), ("now", "{}")];
        for (var first = 0; first <= Tricky.Length; first++)
            for (var second = first; second <= Tricky.Length; second += 7)
            {
                var (text, made) = Read([Tricky[..first], Tricky[first..second], Tricky[second..]]);
                Assert.Equal("a < b <tool_cal>", text);
                Assert.Equal(calls, made);
            }

        Assert.Equal(("Just <tool", 0), Read(["Ju", "st <to", "ol"]) is var (words, none) ? (words, none.Count) : default);
    }

    [Fact]
    public async Task Answer_ThatCalls_HasTextCallsAndTheirReason()
    {
        await using var server = await TestServer.StartAsync(Teller(Called));
        var choice = (await server.ChatAsync(new() { ["tools"] = Tools.DeepClone(), ["temperature"] = 0 }))["choices"]![0]!;
        Assert.Equal(("Let me see.", "tool_calls"), ((string?)choice["message"]!["content"], (string?)choice["finish_reason"]));
        var calls = choice["message"]!["tool_calls"]!.AsArray();
        Assert.Equal(["add {\"a\": 1, \"b\": -20}", "now {}"], calls.Select(call => $"{call!["function"]!["name"]} {call["function"]!["arguments"]}"));
        Assert.All(calls, call => Assert.Equal("function", (string?)call!["type"]));
        Assert.Equal(2, calls.Select(call => (string?)call!["id"]).Distinct().Count());
    }

    [Fact]
    public async Task Stream_ThatCalls_BringsTheSameInPieces()
    {
        await using var server = await TestServer.StartAsync(Teller(Called));
        var body = new JsonObject { ["model"] = TestServer.ModelId, ["messages"] = TestServer.Messages("Hello"), ["tools"] = Tools.DeepClone(), ["temperature"] = 0, ["stream"] = true };
        using var response = await server.SendAsync("/v1/chat/completions", body.ToJsonString());
        string[] events = [.. (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line["data: ".Length..])];
        JsonNode[] choices = [.. events[..^1].Select(text => JsonNode.Parse(text)!["choices"]![0]!)];
        Assert.Equal("Let me see.", string.Concat(choices.Select(choice => (string?)choice["delta"]!["content"])));
        JsonNode[] calls = [.. choices.SelectMany(choice => choice["delta"]!["tool_calls"]?.AsArray() ?? []).Select(call => call!)];
        Assert.Equal(["add", "now"], calls.Select(call => (string?)call["function"]!["name"]).OfType<string>());
        Assert.Equal(["function", "function"], calls.Where(call => call["id"] is not null).Select(call => (string?)call["type"]));
        Assert.Equal("{\"a\": 1, \"b\": -20}", string.Concat(calls.Where(call => (int)call["index"]! == 0).Select(call => (string?)call["function"]!["arguments"])));
        Assert.True(calls.Count(call => (int)call["index"]! == 0) > 2, "arguments come in pieces");
        Assert.Equal(["tool_calls"], choices.Select(choice => (string?)choice["finish_reason"]).OfType<string>());
        Assert.Equal("[DONE]", events[^1]);
    }

    [Theory]
    [InlineData("\"none\"", "stop", "Let me see.")]
    [InlineData("\"auto\"", "stop", null)]
    public async Task Answer_WithoutACall_IsAsEver(string choice, string reason, string? content)
    {
        await using var server = await TestServer.StartAsync(Teller("Let me see."));
        var answer = (await server.ChatAsync(new() { ["tools"] = Tools.DeepClone(), ["tool_choice"] = JsonNode.Parse(choice), ["temperature"] = 0 }))["choices"]![0]!;
        Assert.Equal((content ?? "Let me see.", reason, false), ((string?)answer["message"]!["content"], (string?)answer["finish_reason"], answer["message"]!.AsObject().ContainsKey("tool_calls")));
    }

    /// <summary>As long as the tokens that are left suffice for a call, it is completed, and no second one begun.</summary>
    [Theory]
    [InlineData(90, "tool_calls", "add")]
    [InlineData(8, "length", null)]
    public async Task Answer_WithFewTokens_CompletesItsCallOrIsCutOff(int tokens, string reason, string? called)
    {
        await using var server = await TestServer.StartAsync(Teller(Called["Let me see.\n".Length..]));
        var choice = (await server.ChatAsync(new() { ["tools"] = Tools.DeepClone(), ["tool_choice"] = "required", ["max_tokens"] = tokens, ["temperature"] = 0 }))["choices"]![0]!;
        Assert.Equal((reason, called), ((string?)choice["finish_reason"], (string?)choice["message"]!["tool_calls"]?.AsArray().Single()!["function"]!["name"]));
    }

    [Fact]
    public async Task Parallel_Forbidden_IsOneCall()
    {
        await using var server = await TestServer.StartAsync(Teller(Called));
        var choice = (await server.ChatAsync(new() { ["tools"] = Tools.DeepClone(), ["parallel_tool_calls"] = false, ["temperature"] = 0 }))["choices"]![0]!;
        Assert.Equal("add", (string?)Assert.Single(choice["message"]!["tool_calls"]!.AsArray())!["function"]!["name"]);
    }

    /// <summary>The whole conversation as the model reads it.</summary>
    [Fact]
    public async Task Prompt_OfAConversationWithCalls_IsThisText()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 4096));
        var body = JsonNode.Parse($$$$"""
            {"tools":[{{{{Now}}}}],"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"When?"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"now","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"now","arguments":"{\"x\":1}"}}]},
            {"role":"tool","tool_call_id":"1","content":"noon"},{"role":"tool","tool_call_id":"2","content":"night"}]}
            """)!.AsObject();
        var tokens = (await server.PostAsync("/v1/tokenize", body))["tokens"]!.AsArray().Select(token => (int)token!).ToArray();
        var text = TestServer.Tokenizer.Decode(tokens, skipSpecial: false);
        Assert.StartsWith($"<|im_start|>system\nBe brief.\n\n# Tools\n", text, StringComparison.Ordinal);
        Assert.Contains($"<tools>\n{Now}\n</tools>", text, StringComparison.Ordinal);
        Assert.EndsWith(
            "<|im_start|>user\nWhen?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {\"x\":1}}\n</tool_call><|im_end|>\n"
            + "<|im_start|>user\n<tool_response>\nnoon\n</tool_response>\n<tool_response>\nnight\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
            text, StringComparison.Ordinal);
    }

    /// <summary>Keywords that cannot be enforced are for the model to read, unless the client asks for strictness.</summary>
    [Theory]
    [InlineData(false, HttpStatusCode.OK)]
    [InlineData(true, HttpStatusCode.BadRequest)]
    public async Task Schema_WithOtherKeywords_IsADescriptionUnlessStrict(bool strict, HttpStatusCode expected)
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 4096));
        var tools = JsonNode.Parse($$$$"""[{"type":"function","function":{"name":"wait","strict":{{{{(strict ? "true" : "false")}}}},"parameters":{"type":"object","properties":{"s":{"type":"number","minimum":0}},"required":["s"]}}}]""");
        var answer = await server.ChatAsync(new() { ["tools"] = tools, ["tool_choice"] = "required", ["max_tokens"] = 80, ["seed"] = 1 }, expected);
        if (strict) Assert.Equal(("unsupported_schema", "tools"), ((string?)answer["error"]!["code"], (string?)answer["error"]!["param"]));
        else Assert.IsType<JsonObject>(JsonNode.Parse((string)answer["choices"]![0]!["message"]!["tool_calls"]![0]!["function"]!["arguments"]!));
    }

    [Fact]
    public void Offer_OfAsManyFunctionsAsPossible_IsKept()
    {
        var tools = string.Join(',', Enumerable.Range(0, new RequestLimits().Tools).Select(i => Add.Replace("\"add\"", $"\"add_{i}\"", StringComparison.Ordinal)));
        var constraint = Constraint($$"""{"tools":[{{tools}}],"tool_choice":"required"}""");
        Assert.NotEmpty(Read([ConstrainedAnswer.Of(constraint, 1, constraint.Start.Distance + 60)]).Calls);
    }

    /// <summary>Whatever is on offer, it is refused with a reason, or calls of it are made that can be read.</summary>
    [Fact]
    public void Offers_OfNonsense_AreRefusedOrKept()
    {
        var random = new Random(20251129);
        var (refused, kept) = (0, 0);
        for (var i = 0; i < 3000; i++)
        {
            using var json = JsonDocument.Parse($"{{{ConstraintFuzz.Tools(random)}}}");
            var fields = new RequestBody(json.RootElement);
            var offer = new ToolFields(fields, new RequestLimits()).Read();
            if (fields.Error is not null || (offer is not null && _cache.Find(offer.Format).Error is not null)) refused++;
            if (fields.Error is not null || offer is null || _cache.Find(offer.Format).Constraint is not { Start.Distance: < 900 } constraint) continue;
            kept++;
            var (_, calls) = Read([ConstrainedAnswer.Of(constraint, i, constraint.Start.Distance + 40)]);
            Assert.All(calls, call => Assert.True(offer.Offered.Any(tool => tool.Name == call.Name), call.Name));
            foreach (var (_, arguments) in calls) JsonDocument.Parse(arguments).Dispose();
        }

        Assert.True(refused > 300 && kept > 300, $"{refused} refused, {kept} kept");
    }

    private Constraint Constraint(string body)
    {
        using var json = JsonDocument.Parse(body);
        var fields = new RequestBody(json.RootElement);
        var offer = new ToolFields(fields, new RequestLimits()).Read();
        Assert.True(offer is not null, fields.Error?.Message);
        var (constraint, error) = _cache.Find(offer.Format);
        Assert.True(constraint is not null, error?.Message);
        return constraint;
    }

    private static (string Text, IReadOnlyList<(string Name, string Arguments)> Calls) Read(IEnumerable<string> answer)
    {
        var reader = new CallReader();
        CallPiece[] pieces = [.. answer.SelectMany(reader.Append), .. reader.Finish()];
        var calls = pieces.Where(piece => piece.Call is not null).GroupBy(piece => piece.Call);
        return (string.Concat(pieces.Where(piece => piece.Call is null).Select(piece => piece.Text)), [.. calls.Select(call => (call.First().Name!, string.Concat(call.Select(piece => piece.Text))))]);
    }

    /// <summary>Says the same to all prompts.</summary>
    private static ParrotModel Teller(string answer) =>
        new(TestServer.Tokenizer.Encode($"<|im_end|>\n<|im_start|>assistant\n{answer}", allowSpecial: true), TestServer.Tokenizer.Special.Eos!.Value, TestServer.Tokenizer.VocabularySize, maxLength: 4096);
}
