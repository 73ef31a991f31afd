using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

/// <summary>Real packages in ONNX Runtime, behind the same engine as the toys.</summary>
public sealed class ModelLoaderTests
{
    [Fact]
    public void Package_Loaded_IsDescribed()
    {
        using var package = new ServedPackage();
        var (model, runner) = LoadedDecoder.Of(new ServerOptions { Model = package.Folder, Slots = 3, ChatTemplate = "plain" });
        using (runner) Assert.Equal((3, 128, TestServer.Tokenizer.VocabularySize), (runner.Slots, runner.MaxLength, runner.VocabularySize));
        Assert.Equal(("package", 128, "float32", "plain"), (model.Id, model.Context, model.Precision, model.Template!.Name));
        Assert.Matches("^fp_[0-9a-f]{12}$", model.Fingerprint);
        Assert.Equal(TestServer.Tokenizer.Special.Eos, Assert.Single(model.EndTokens));
    }

    [Fact]
    public void Fingerprint_OfTheSame_IsTheSame_AndOfAnotherTemplateOrModelAnother()
    {
        using ServedPackage package = new(), other = new(weights: Weights.Bytes);
        Assert.Equal(Fingerprint(package.Folder, "plain"), Fingerprint(package.Folder, "plain"));
        Assert.Distinct([Fingerprint(package.Folder, "plain"), Fingerprint(package.Folder, null), Fingerprint(other.Folder, "plain")]);

        static string Fingerprint(string folder, string? template)
        {
            var (model, runner) = LoadedDecoder.Of(new ServerOptions { Model = folder, Slots = 1, Threads = 1, ChatTemplate = template });
            runner.Dispose();
            return model.Fingerprint;
        }
    }

    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Answers_OfARealModelTogether_EqualSoloAnswers(Weights weights)
    {
        using var package = new ServedPackage(weights: weights);
        var solo = new List<int[]>();
        using (var alone = Engine(package, slots: 1))
            for (var i = 0; i < 12; i++) solo.Add(await AnswerAsync(alone, i));

        using var engine = Engine(package, slots: 4);
        Assert.Equal(solo, await Task.WhenAll(Enumerable.Range(0, 12).Select(i => AnswerAsync(engine, i))));
    }

    /// <summary>Of a few words only, so that an untrained model repeats itself and there is something to guess.</summary>
    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Answers_OfARealModelGuessedAhead_AreTheSame(Weights weights)
    {
        using var package = new ServedPackage(weights: weights);
        var metrics = new ServingMetrics();
        ImmutableArray<TokenBias> few = [.. Enumerable.Range(100, 4).Select(token => new TokenBias(token, 50))];
        using InferenceEngine plain = Engine(package, slots: 1), guessing = Engine(package, slots: 1, speculation: 5, metrics);
        for (var i = 0; i < 12; i++) Assert.Equal(await AnswerAsync(plain, i, few), await AnswerAsync(guessing, i, few));
        Assert.InRange(metrics.AcceptedTokens.Value(), 1, metrics.DraftTokens.Value() - 1);
    }

    [Theory]
    [InlineData("no/such/folder", null, null, "no/such/folder")]
    [InlineData(null, 129, null, "128")]
    [InlineData(null, null, "bfloat16", "--device cuda")]
    public void Package_ThatCannotBeServed_IsOneClearLine(string? folder, int? maxLength, string? dtype, string part)
    {
        using var package = new ServedPackage();
        var mistake = Assert.Throws<ServingException>(() => ModelLoader.Load(new ServerOptions { Model = folder ?? package.Folder, MaxLength = maxLength, Dtype = dtype }));
        Assert.Contains(part, mistake.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', mistake.Message);
    }

    /// <summary>Weights of more than two gigabytes lie beside the graph; the answers depend on them all the same.</summary>
    [Fact]
    public void Fingerprint_OfWeightsBesideTheGraph_FollowsThem()
    {
        using var package = new ServedPackage();
        var graph = Path.Combine(package.Folder, "model.onnx");
        OnnxFile.Write(OnnxFile.Read(graph), graph, externalThreshold: 0);
        var before = Fingerprint();
        var weights = File.ReadAllBytes(graph + ".data");
        weights[0] ^= 1;
        File.WriteAllBytes(graph + ".data", weights);
        Assert.NotEqual(before, Fingerprint());

        string Fingerprint()
        {
            PackageManifest.Read(package.Folder).Seal(package.Folder);
            var (model, runner) = LoadedDecoder.Of(new ServerOptions { Model = package.Folder, Threads = 1 });
            using (runner) return model.Fingerprint;
        }
    }

    /// <summary>The model's vocabulary may be padded; its padding cannot be chosen, so it cannot end a text either.</summary>
    [Fact]
    public void EndToken_BeyondTheTokenizer_IsRefused()
    {
        using var package = new ServedPackage();
        var config = Path.Combine(package.Folder, "config.json");
        var json = JsonNode.Parse(File.ReadAllText(config))!;
        (json["vocab_size"], json["eos_token_id"]) = (TestServer.Tokenizer.VocabularySize + 1, TestServer.Tokenizer.VocabularySize);
        File.WriteAllText(config, json.ToJsonString());
        PackageManifest.Read(package.Folder).Seal(package.Folder);
        var mistake = Assert.Throws<ServingException>(() => ModelLoader.Load(new ServerOptions { Model = package.Folder }));
        Assert.Contains("eos_token_id", mistake.Message, StringComparison.Ordinal);
    }

    /// <summary>A byte of the weights changes there and back all the time: what the hash was taken of is not what the runtime read, so nothing may be served but the whole model.</summary>
    [Fact]
    public async Task Package_AlteredWhileItIsLoaded_IsRefusedOrWhole()
    {
        using var package = new ServedPackage();
        var expected = Scores(package);
        using var enough = new CancellationTokenSource();
        var altering = Task.Run(() => AlterUntil(Path.Combine(package.Folder, "model.onnx"), enough.Token));
        var refused = 0;
        for (var i = 0; i < 60; i++)
        {
            try
            {
                Assert.Equal(expected, Scores(package));
            }
            catch (ServingException)
            {
                refused++;
            }
        }

        await enough.CancelAsync();
        await altering;
        Assert.InRange(refused, 1, 60);
    }

    private static void AlterUntil(string path, CancellationToken enough)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        var middle = file.Length / 2;
        while (!enough.IsCancellationRequested)
        {
            file.Position = middle;
            var value = file.ReadByte();
            file.Position = middle;
            file.WriteByte((byte)(value ^ 0x20));
        }
    }

    private static float[] Scores(ServedPackage package)
    {
        var (_, runner) = LoadedDecoder.Of(new ServerOptions { Model = package.Folder, Slots = 1, Threads = 1 });
        using (runner) return runner.Prefill(0, [1, 2, 3], 0).ToArray();
    }

    private static InferenceEngine Engine(ServedPackage package, int slots, int speculation = 0, ServingMetrics? metrics = null)
    {
        var (_, runner) = LoadedDecoder.Of(new ServerOptions { Model = package.Folder, Slots = slots, Threads = 1 });
        return new InferenceEngine(runner, new() { PrefillChunk = 5, Speculation = speculation }, metrics ?? new(), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
    }

    private static async Task<int[]> AnswerAsync(InferenceEngine engine, int i, ImmutableArray<TokenBias>? bias = null)
    {
        int[] prompt = [.. Enumerable.Range(0, 3 + 2 * i).Select(k => (7 * k + 11 * i + 5) % 280)];
        var sampling = i % 2 == 0 ? Greedy : new SamplingSettings { Temperature = 0.7, Seed = (ulong)i };
        if (bias is { } some) sampling = sampling with { LogitBias = some };
        return (await SequenceFactory.AnswerAsync(engine, prompt, 20 + i, sampling)).Tokens;
    }
}
