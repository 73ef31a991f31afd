using System.Text.RegularExpressions;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;
using OnnxLlm.Training;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Report;
using OnnxLlm.Training.Runs;
using TrainingRun = OnnxLlm.Training.Runs.TrainingRun;

namespace OnnxLlm.Tests.Training;

/// <summary>Samples, counted arithmetic, and the page that shows a run.</summary>
public sealed class ReportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("report-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void NextLogits_AtAnyPosition_GiveTheLossOfTheTrainedGraph()
    {
        var shape = new TrainingShape(2, TinyTraining.Time);
        using var engine = new OnnxTrainingEngine(
            TrainingGraphs.Create(TinyTraining.Model, shape, new()), shape, new() { Threads = 1 }, new AuxiliaryGraphs(null, SamplingGraph.Create(TinyTraining.Model, TinyTraining.Time)));
        engine.Tensors.Initialize(new OnnxLlm.Graphs.Models.Initializer(TinyTraining.Model, 1));
        var batch = OnnxLlm.Training.Data.TokenDataset.Pack(TinyTraining.Windows(TinyTraining.Tokens(100)), 2, row => (row, row));
        float[] losses = engine.Evaluate(batch).ToArray();
        foreach (var t in new[] { 0, 7, TinyTraining.Time - 1 })
        {
            double[] logits = [.. engine.NextLogits([.. batch.InputIds.Take(t + 1).Select(id => (int)id)]).ToArray().Select(x => (double)x)];
            Assert.Equal(losses[t], Math.Log(logits.Sum(Math.Exp)) - logits[batch.Labels[t]], 5);
        }
    }

    [Fact]
    public void Flops_OfATinyModel_AreThoseCountedByHand()
    {
        const int rows = 4, time = 16, width = 32, vocabulary = 64;
        // Per layer: q and o 32×32, k and v 32×16, gate, up and down 32×64; the head 32×64; attention 2·T·D per token and layer.
        const double weights = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64) + width * vocabulary;
        var graphs = TrainingGraphs.Create(TinyTraining.Model, new TrainingShape(rows, time), new());

        Assert.Equal(3 * (2 * weights + 2 * 2 * time * width), FlopCount.PerToken(graphs.Evaluation, rows * time));
    }

    [Fact]
    public void Samples_AreWritten_AndTheSameOnARerun()
    {
        var tokenizer = BpeTrainer.Train(["the quick brown fox jumps over the lazy dog "], new BpeSettings { VocabularySize = 270 });
        tokenizer.Save(Data);
        WriteShards(tokenizer.Hash, tokenizer.Encode(string.Concat(Enumerable.Repeat("the quick brown fox jumps over the lazy dog ", 60))));
        string[] settings = ["model.vocab_size=300", "samples.every=10", "samples.prompts=[\"the quick\", \"a dog\"]", "samples.tokens=8"];
        Train("first", settings);
        Train("second", settings);

        Assert.Equal([(10L, "the quick"), (10, "a dog"), (20, "the quick"), (20, "a dog")], Samples("first").Select(s => (s.Step, s.Prompt)));
        Assert.Equal(Samples("first"), Samples("second"));
        Assert.NotEqual(Samples("first")[0].Sample, Samples("first")[2].Sample);
    }

    [Fact]
    public void Samples_WithAnotherTokenizer_AreRefused()
    {
        BpeTrainer.Train(["abc"], new BpeSettings { VocabularySize = 260 }).Save(Data);
        TinyTraining.WriteShards(Data);

        Assert.Matches("^samples: the tokenizer in '.*' is not the one that made '.*'; name the right folder in samples.tokenizer.$",
            Assert.Throws<TrainingException>(() => Train("run", "samples.every=10", "samples.prompts=[\"x\"]")).Message);
        Assert.False(Directory.Exists(Path.Combine(_folder, "run")));
    }

    [Fact]
    public void Samples_WithoutPrompts_AreRefused() => Assert.EndsWith(
        "samples.prompts: is empty, but samples.every asks for samples", Assert.Throws<TrainingException>(() => Config("samples.every=10")).Message, StringComparison.Ordinal);

    [Fact]
    public void Report_OfARun_IsOnePageThatNeedsNothingElse()
    {
        TinyTraining.WriteShards(Data);
        Train("run", "stability.statistics_every=5", "tracking.peak_gflops=50");
        var folder = RunFolder.Open(Path.Combine(_folder, "run"));
        File.AppendAllText(folder.Metrics, """{"step":20,"prompt":"a <b>","sample":" & c"}""" + "\n" + """{"step":20,"event":"spike","message":"the loss jumped"}""" + "\n");

        var page = File.ReadAllText(HtmlReport.Write(folder));

        Assert.DoesNotMatch(new Regex("<script|src=|href=|@import|url\\(", RegexOptions.IgnoreCase), page);
        Assert.Equal(8, Regex.Count(page, "<svg"));
        Assert.Equal(Regex.Count(page, "<(section|figure|table|details|blockquote|p)\\b"), Regex.Count(page, "</(section|figure|table|details|blockquote|p)>"));
        Assert.Contains("<b>a &lt;b&gt;</b> &amp; c", page, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme: dark", page, StringComparison.Ordinal);
        Assert.Contains("<td>block 1</td>", page, StringComparison.Ordinal);
        Assert.Contains("<td>spike</td><td>the loss jumped</td>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Report_WithTheQuantizedPackage_SaysWhatThatCost()
    {
        var folder = Trained();
        var package = Package("run", """
            {"bits":8,"block":32,"float_bytes":16000000,"quantized_bytes":4000000,"kept_weights":[],
             "quality":{"tokens":32768,"float_perplexity":100,"float_perplexity_error":0.5,"quantized_perplexity":100.02,"quantized_perplexity_error":0.5,"perplexity_loss":0.0002,
                        "max_perplexity_loss":0.01,"mean_divergence":3.5e-6,"top1_agreement":0.9961,"float_bits_per_byte":1.5,"quantized_bits_per_byte":1.503},
             "speed":[{"provider":"CPUExecutionProvider","threads":2,"float_prefill":200,"quantized_prefill":100,"float_decode":300,"quantized_decode":600}]}
            """);

        var page = File.ReadAllText(HtmlReport.Write(folder, package: package));

        Assert.Contains("<h2>Quantization: INT8, blocks of 32, of step 20</h2>", page, StringComparison.Ordinal);
        Assert.Contains("<td>size, MB</td><td>16</td><td>4</td><td>0.25</td>", page, StringComparison.Ordinal);
        Assert.Contains("<td>100 &#177; 0.5</td><td>100.02 &#177; 0.5</td><td>+0.020 %, at most 1.0 % allowed</td>", page, StringComparison.Ordinal);
        Assert.Contains("<td>same likeliest token</td><td></td><td>99.61 %</td>", page, StringComparison.Ordinal);
        Assert.Contains("<td>decode, tokens/s (CPUExecutionProvider, 2 threads)</td><td>300</td><td>600</td><td>2.00</td>", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Report_WithAPackageOfAnotherRun_OrOneThatIsNotQuantized_IsRefused()
    {
        var folder = Trained();
        string other = Package("other", "{}"), plain = Package("run", null);
        Assert.Equal($"'{other}' comes from other, not from the run run.", Assert.Throws<TrainingException>(() => HtmlReport.Write(folder, package: other)).Message);
        Assert.Equal($"'{plain}' is not quantized; give the folder that tools quantize wrote.", Assert.Throws<TrainingException>(() => HtmlReport.Write(folder, package: plain)).Message);
    }

    [Fact]
    public void Record_OfAVersionWithFewerKeys_IsRead()
    {
        TinyTraining.WriteShards(Data);
        Train("run");
        var file = Path.Combine(_folder, "run", "run.json");
        var json = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(file))!;
        json["config"]!.AsObject().Remove("samples");
        var hash = System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(json["config"]!.ToJsonString(StrictJson.Options)));
        json["config_hash"] = Convert.ToHexStringLower(hash);
        File.WriteAllText(file, json.ToJsonString(StrictJson.Options));

        Assert.Equal(48, RunFolder.Open(Path.Combine(_folder, "run")).Read().Config.Samples.Tokens);
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"seed\": 1", "\"seed\": 2", StringComparison.Ordinal));
        Assert.Contains("was edited", Assert.Throws<TrainingException>(() => RunFolder.Open(Path.Combine(_folder, "run")).Read()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Report_OfARunWithoutALog_IsWrittenAllTheSame()
    {
        var folder = Trained();
        File.Delete(folder.Metrics);

        Assert.Contains("not measured", File.ReadAllText(HtmlReport.Write(folder)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 10, new double[] { 0, 2, 4, 6, 8, 10 })]
    [InlineData(1.94, 4.17, new[] { 2, 2.5, 3, 3.5, 4 })]
    [InlineData(5e-5, 1e-3, new[] { 2e-4, 4e-4, 6e-4, 8e-4, 1e-3 })]
    public void Ticks_AreRoundNumbersWithinTheRange(double low, double high, double[] expected)
    {
        double[] ticks = [.. Scale.Of([low, high], 0, 100).Ticks(5)];

        Assert.Equal(expected.Length, ticks.Length);
        Assert.All(expected.Zip(ticks), pair => Assert.Equal(pair.First, pair.Second, 9));
    }

    [Fact]
    public void Ticks_AtNought_HaveNoSign() => Assert.False(double.IsNegative(Scale.Of([0, 300], 0, 100).Ticks(6).First()));

    [Theory]
    [InlineData(15, "1500")]
    [InlineData(200, "30")]
    public void Chart_OfManyPoints_CutsOffASpike_OfFewItShowsAll(int points, string highest)
    {
        var curve = Curve.Of("v", "b", Enumerable.Range(0, points), i => i, i => i == 0 ? 1700 : 10 + (i % 21));
        Assert.Contains($">{highest}</text>", new Chart("v", [curve], [], v => FormattableString.Invariant($"{v:0}")).Html(), StringComparison.Ordinal);
    }

    [Fact]
    public void History_OfAStepTakenTwice_HoldsTheSecondTime()
    {
        var folder = Trained();
        File.AppendAllText(folder.Metrics, """{"step":7,"loss":99,"learning_rate":1,"tokens":1,"tokens_per_second":1,"elapsed_seconds":1,"skipped":0}""" + "\n");

        Assert.Equal(99, RunHistory.Read(folder).Steps[6].Loss);
        Assert.Equal(20, RunHistory.Read(folder).Steps.Count);
    }

    private string Data => Path.Combine(_folder, "data");

    private List<TextSample> Samples(string run) => [.. RunHistory.Read(RunFolder.Open(Path.Combine(_folder, run))).Samples];

    private void WriteShards(string tokenizer, int[] tokens)
    {
        using var writer = new ShardWriter(Data, new ShardSettings { VocabularySize = 300, Separator = 0, TokenizerHash = tokenizer, CorpusHash = "corpus" });
        writer.Add(Split.Train, "a", tokens);
        writer.Add(Split.Valid, "b", tokens);
        writer.Finish();
    }

    private string Package(string run, string? quantization)
    {
        var path = Directory.CreateDirectory(Path.Combine(_folder, "package of " + run)).FullName;
        new PackageManifest
        {
            ModelType = "llama",
            ParameterCount = 1,
            Source = new(run, 20),
            Quantization = quantization is null ? null : System.Text.Json.Nodes.JsonNode.Parse(quantization)!.AsObject(),
        }.Seal(path);
        return path;
    }

    /// <summary>A run that is over.</summary>
    private RunFolder Trained()
    {
        TinyTraining.WriteShards(Data);
        Train("run");
        return RunFolder.Open(Path.Combine(_folder, "run"));
    }

    private RunConfig Config(params string[] overrides) =>
        ConfigFile.Load(Repository.PathOf("training", "configs", "tiny.json"), [$"data={Data}", "threads=1", "steps=20", "checkpoint_every=0", .. overrides]);

    private void Train(string run, params string[] overrides) =>
        new TrainingRun(RunFolder.Create(Path.Combine(_folder, run)), new RunOptions { Command = "train" }, new TestView(_ => { }), TimeProvider.System).Start(Config(overrides), default);
}
