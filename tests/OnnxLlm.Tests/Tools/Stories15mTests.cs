using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Serving;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Import;

namespace OnnxLlm.Tests.Tools;

public sealed class Stories15mTests(Stories15m model) : IClassFixture<Stories15m>
{
    /// <summary>Scores reach 25 and are sums of 288 products behind six blocks; another order of summing moves them by some 1e-6 of their size.</summary>
    private const double ScoreTolerance = 2e-4;

    private static readonly Stories15m.Reference Recorded = Stories15m.Recorded;

    [InstalledFact(Stories15m.NpmFolder)]
    public void Import_TheFile_IsTheOneThatWasRecorded()
    {
        using var stream = File.OpenRead(SampleModel.File());
        byte[] weights = new byte[Llama2cFile.Read(SampleModel.File()).WeightBytes];
        stream.ReadExactly(weights);
        Assert.Equal("cd590644d963867a2b6e5a1107f51fad663c41d79c149fbecbbb1f95fa81f49a", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(weights)));
    }

    [InstalledFact(Stories15m.NpmFolder)]
    public void GreedyAnswer_Imported_HasTheRecordedTokens() => Assert.Equal(Recorded.GreedyIds, Stories15m.Greedy(model.Package, Recorded.GreedyIds.Length));

    [InstalledFact(Stories15m.NpmFolder)]
    public void Scores_Imported_AreTheRecordedOnes()
    {
        var rows = AllScores(model.Package);
        Assert.All(Recorded.Best, best =>
        {
            var row = rows[best.Position];
            Assert.Equal(best.Ids, Enumerable.Range(0, row.Length).OrderByDescending(id => row[id]).Take(best.Ids.Length));
            Assert.All(best.Ids.Zip(best.Logits), pair => Assert.Equal(pair.Second, row[pair.First], ScoreTolerance));
        });
    }

    [InstalledFact(Stories15m.NpmFolder)]
    public void MeanLoss_Imported_IsTheRecordedOne() => Assert.Equal(Recorded.MeanNll, MeanLoss(model.Package), 1e-5);

    [InstalledFact(Stories15m.NpmFolder)]
    public void MeanLoss_Quantized_StaysWithinTheGate()
    {
        var report = PackageManifest.Read(model.Quantized).Quantization!;
        Assert.True((double)report["quality"]!["perplexity_loss"]! <= 0.01);
        Assert.True(MeanLoss(model.Quantized) - MeanLoss(model.Package) < Math.Log(1.01), $"{MeanLoss(model.Quantized)} against {MeanLoss(model.Package)}");
        Assert.True((double)report["size_ratio"]! < 0.3);
    }

    [InstalledFact(Stories15m.NpmFolder)]
    public void MeanLoss_WithAnInt8Cache_StaysWithinTheGate()
    {
        Assert.True(MeanLoss(model.Int8Cache) - MeanLoss(model.Package) < Math.Log(1.01), $"{MeanLoss(model.Int8Cache)} against {MeanLoss(model.Package)}");
        Assert.NotEqual(MeanLoss(model.Quantized), MeanLoss(model.Int8Cache));
    }

    [InstalledFact(Stories15m.NpmFolder)]
    public async Task GreedyAnswer_GuessedAhead_HasTheRecordedTokens()
    {
        var (_, runner) = LoadedDecoder.Of(new ServerOptions { Model = model.Package, Slots = 1 });
        var metrics = new ServingMetrics();
        using var engine = new InferenceEngine(runner, new() { Speculation = 6 }, metrics, TimeProvider.System, NullLogger.Instance);
        int[] prompt = Recorded.GreedyIds[..60];
        Assert.Equal(Recorded.GreedyIds[60..], (await SequenceFactory.AnswerAsync(engine, prompt, Recorded.GreedyIds.Length - prompt.Length)).Tokens);
        Assert.True(metrics.DraftTokens.Value() > 0);
    }

    [InstalledFact(Stories15m.NpmFolder)]
    public void Tokenizer_RecordedTexts_HaveTheIdsOfOthers()
    {
        var tokenizer = Tokenizer.Load(model.Package);
        var vectors = JsonSerializer.Deserialize<Vector[]>(
            File.ReadAllBytes(Repository.PathOf("tests", "OnnxLlm.Tests", "Text", "Recorded", "llama-vectors.json")), JsonSerializerOptions.Web)!;
        Assert.All(vectors, vector => Assert.Equal(vector.Ids, tokenizer.EncodePrompt(vector.Text)));
        Assert.All(vectors, vector => Assert.Equal(vector.Text, tokenizer.Decode(tokenizer.EncodePrompt(vector.Text))));
    }

    [InstalledFact(Stories15m.NpmFolder)]
    public void Import_Again_IsUpToDate() => Assert.True(new PackageImport(SampleModel.Name, model.Package).Write().UpToDate);

    /// <summary>The scores after each of the recorded tokens, read at once.</summary>
    private static float[][] AllScores(string folder)
    {
        using var all = SequenceModel.ForMeasuring(OnnxFile.Read(Path.Combine(folder, PackageManifest.ModelFile)), Recorded.GreedyIds.Length, threads: 0);
        return [.. all.Logits(Recorded.GreedyIds).ToArray().Chunk(32000)];
    }

    private static double MeanLoss(string folder) =>
        AllScores(folder).Zip(Recorded.GreedyIds.Skip(1)).Average(pair => new LogitRow(pair.First).Loss(pair.Second));

    private sealed record Vector(string Text, int[] Ids);
}
