using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Tensors over the Open Inference Protocol: what comes out is what the session gives.</summary>
public sealed class InferTests
{
    private const string Path = "/v2/models/org%2Ftoy/infer";

    private const string TwoRows = """
        {"id":"question 7","inputs":[{"name":"input_ids","shape":[2,4],"datatype":"INT64","data":[[3,5,7,11],[13,17,0,0]]},
        {"name":"attention_mask","shape":[2,4],"datatype":"INT64","data":[1,1,1,1,1,1,0,0]}],"outputs":[{"name":"logits"},{"name":"last_logits"}]}
        """;

    [Theory]
    [InlineData(128, 0)]
    [InlineData(3, 2e-5)]           // in pieces sums run in another order: a few hundred roundings of 6e-8
    public async Task Infer_OfAPackage_EqualsTheSession(int chunk, double arithmetic)
    {
        using var package = new ServedPackage();
        await using var server = await StartAsync(package, chunk);
        var answer = await server.PostAsync("/v2/models/real/versions/1/infer", Body(TwoRows));
        Assert.Equal(("real", "1", "question 7"), ((string?)answer["model_name"], (string?)answer["model_version"], (string?)answer["id"]));
        using var session = new GenerationSession(ModelPackage.Open(package.Folder), 1, 128, new SessionSettings { Threads = 1 });
        float[] first = session.Score(0, [3, 5, 7, 11], 0).ToArray(), second = session.Score(0, [13, 17], 0).ToArray();
        var vocabulary = session.VocabularySize;
        AssertTensor(arithmetic, answer["outputs"]![0]!, "logits", [2, 4, vocabulary], [.. first, .. second, .. new float[2 * vocabulary]]);
        AssertTensor(arithmetic, answer["outputs"]![1]!, "last_logits", [2, vocabulary], [.. first[^vocabulary..], .. second[^vocabulary..]]);
    }

    [Fact]
    public async Task Infer_PaddedBeforeTheText_EqualsPaddedAfter()
    {
        await using var server = await TestServer.StartAsync();
        var after = await server.PostAsync(Path, Padded("[5,6,0]", "[1,1,0]"));
        var before = await server.PostAsync(Path, Padded("[0,5,6]", "[0,1,1]"));
        Assert.Equal(Data(after["outputs"]![0]!)[0], Data(before["outputs"]![0]!)[TestServer.Tokenizer.VocabularySize]);
        Assert.Equal(0, server.Engine.Running);

        static JsonObject Padded(string ids, string mask) =>
            Body($$"""{"inputs":[{"name":"attention_mask","shape":[1,3],"datatype":"INT32","data":{{mask}}},{"name":"input_ids","shape":[1,3],"datatype":"INT32","data":{{ids}}}]}""");
    }

    [Theory]
    [InlineData("""{}""", "input_ids")]
    [InlineData("""{"inputs":[]}""", "input_ids")]
    [InlineData("""{"inputs":[7]}""", "no input")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"FP16","data":[1,2]}]}""", "FP16 has no form in JSON")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"FP32","data":[1,2]}]}""", "INT64")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"INT64","data":[1,2,3]}]}""", "3 values")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"INT64","data":[1,2.5]}]}""", "integers")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"INT64","data":"AAAA"}]}""", "no 'data'")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[2],"datatype":"INT64","data":[1,2]}]}""", "[batch, tokens]")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[0,2],"datatype":"INT64","data":[]}]}""", "[batch, tokens]")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[-1,-2],"datatype":"INT64","data":[1,2]}]}""", "shape")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[2147483647,2147483647],"datatype":"INT64","data":[1]}]}""", "1 values")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[300]}]}""", "vocabulary")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[-1]}]}""", "vocabulary")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[1]},{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[1]}]}""", "twice")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[1]},{"name":"position_ids","shape":[1,1],"datatype":"INT64","data":[1]}]}""", "position_ids")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,3],"datatype":"INT64","data":[1,2,3]},{"name":"attention_mask","shape":[1,3],"datatype":"INT64","data":[1,0,1]}]}""", "one piece")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"INT64","data":[1,2]},{"name":"attention_mask","shape":[1,2],"datatype":"INT64","data":[0,0]}]}""", "one piece")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"INT64","data":[1,2]},{"name":"attention_mask","shape":[2,1],"datatype":"INT64","data":[1,1]}]}""", "the shape of")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,2],"datatype":"INT64","data":[1,2]},{"name":"attention_mask","shape":[],"datatype":"INT64","data":[1]}]}""", "the shape of")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[1]}],"outputs":[{"name":"hidden"}]}""", "hidden")]
    [InlineData("""{"inputs":[{"name":"input_ids","shape":[1,1],"datatype":"INT64","data":[1]}],"id":7}""", "id")]
    public async Task Request_ThatMakesNoSense_IsRefusedInWords(string body, string told)
    {
        await using var server = await TestServer.StartAsync();
        var refusal = await server.PostAsync(Path, Body(body), HttpStatusCode.BadRequest);
        Assert.Contains(told, (string)refusal["error"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Result_BeyondTheLimit_IsRefusedUnlessOnlyTheLastIsAskedFor()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { Limits = options.Limits with { InferValues = 3 * TestServer.Tokenizer.VocabularySize } });
        const string Four = """{"inputs":[{"name":"input_ids","shape":[1,4],"datatype":"INT64","data":[1,2,3,4]}]""";
        var refusal = await server.PostAsync(Path, Body(Four + "}"), HttpStatusCode.BadRequest);
        Assert.Contains("last_logits", (string)refusal["error"]!, StringComparison.Ordinal);
        await server.PostAsync(Path, Body(Four + ""","outputs":[{"name":"last_logits"}]}"""));
    }

    /// <summary>The scores of the other tokens would take memory for nothing.</summary>
    [Fact]
    public async Task LastScores_Alone_AreAllThatIsWorkedOut()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { Engine = options.Engine with { PrefillChunk = 2 } });
        const string Five = """{"inputs":[{"name":"input_ids","shape":[1,5],"datatype":"INT64","data":[1,2,3,4,5]}],"outputs":""";
        var both = await server.PostAsync(Path, Body(Five + """[{"name":"logits"},{"name":"last_logits"}]}"""));
        var passes = server.Model.ScoringPasses;
        var last = await server.PostAsync(Path, Body(Five + """[{"name":"last_logits"}]}"""));
        Assert.Equal(Data(both["outputs"]![1]!), Data(last["outputs"]![0]!));
        Assert.Equal(passes, server.Model.ScoringPasses);
    }

    [Fact]
    public async Task Fuzz_OfTensors_NeverBreaksTheServer()
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 64));
        var random = new Random(11);
        for (var i = 0; i < 1000; i++)
        {
            using var response = await server.SendAsync(Path, TensorFuzz.Body(random));
            Assert.True((int)response.StatusCode is 200 or 400 or 413, $"{response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
        }
    }

    private static Task<TestServer> StartAsync(ServedPackage package, int chunk) => TestServer.StartAsync(
        change: options => options with { Engine = options.Engine with { PrefillChunk = chunk } },
        more: [new ModelSource("real", () => ModelLoader.Load(new() { Model = package.Folder, Name = "real", Threads = 1 }), () => "")]);

    private static JsonObject Body(string json) => (JsonObject)JsonNode.Parse(json)!;

    private static void AssertTensor(double arithmetic, JsonNode tensor, string name, int[] shape, float[] data)
    {
        Assert.Equal((name, "FP32"), ((string?)tensor["name"], (string?)tensor["datatype"]));
        Assert.Equal(shape, tensor["shape"]!.AsArray().Select(size => (int)size!));
        Closeness.AssertClose(Data(tensor), data, arithmetic, name);
    }

    private static float[] Data(JsonNode tensor) => tensor["data"].Deserialize<float[]>()!;
}
