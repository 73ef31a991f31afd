using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.Runtime;

/// <summary>
/// A model whose weights are more than 2 GB, beyond what one protobuf message or one offset of 31 bits holds: trained one step, saved, loaded, exported and decoded.
/// Takes about a minute, 7 GB of disk and 5 GB of memory, so it runs only where ONNXLLM_LARGE is set. Most of its weights are zero.
/// </summary>
public sealed class LargeModelTests : IDisposable
{
    private const int Layers = 20, Time = 8, SmallTensor = 2_000_000;

    private static readonly ModelConfig Model = new()
    {
        Family = ModelFamily.Gpt2,
        VocabularySize = 512,
        Width = 1536,
        Layers = Layers,
        Heads = 12,
        KeyValueHeads = 12,
        FeedForward = 4 * 1536,
        MaxPositions = 64,
        TiedEmbeddings = true,
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("onnxllm-large").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Model_AboveTwoGigabytes_TrainsSavesLoadsExportsAndDecodes()
    {
        if (Environment.GetEnvironmentVariable("ONNXLLM_LARGE") is null) return;
        int[] tokens = [.. Enumerable.Range(0, Time + 1).Select(i => i * 37 % Model.VocabularySize)];
        var batch = new MicroBatch([.. tokens[..^1].Select(t => (long)t)], [.. tokens[1..].Select(t => (long)t)], Time);

        TrainOneStep(batch);
        Assert.True(new FileInfo(Checkpoint).Length > int.MaxValue);
        double expected = LossOfTheLastToken(batch);
        var package = Export();
        Assert.True(new FileInfo(package.ModelPath + ".data").Length > int.MaxValue);

        using var session = new GenerationSession(package, 1, Time, new SessionSettings { Threads = 2 });
        float[] scores = session.Prefill(0, tokens.AsSpan(0, Time), 0).ToArray();
        double loss = Math.Log(scores.Sum(s => Math.Exp(s - scores.Max()))) + scores.Max() - scores[tokens[^1]];
        Assert.Equal(expected, loss, 1e-4);
    }

    private string Checkpoint => Path.Combine(_folder, PackageManifest.WeightsFile);

    /// <summary>Only the norms are trained, through all the layers; the rest needs no gradient and no moments.</summary>
    private void TrainOneStep(MicroBatch batch)
    {
        using var engine = Engine();
        var initializer = new Initializer(Model, 1);
        foreach (var p in ModelParameters.Of(Model).Where(p => p.Count < SmallTensor || p.Layer is 9 or Layers - 1)) initializer.Fill(p, engine.Tensors[p.Name].Span<float>());
        float before = engine.Accumulate(batch, reset: true, 1f / Time);
        Assert.True(float.IsFinite(engine.Update(1e-2, 1)));
        Assert.True(engine.Accumulate(batch, reset: true, 1f / Time) < before);
        engine.Save(_folder);
    }

    private double LossOfTheLastToken(MicroBatch batch)
    {
        using var engine = Engine();
        engine.Load(_folder);
        return engine.Evaluate(batch)[Time - 1];
    }

    private ModelPackage Export()
    {
        File.WriteAllText(Path.Combine(_folder, "tokenizer.json"), "{}");
        using var weights = Safetensors.Open(Checkpoint);
        string package = Path.Combine(_folder, "package");
        PackageWriter.Write(package, new PackageContents
        {
            Config = Model,
            Weights = name => new(weights[name].Type, TensorShape.Of(weights[name].Shape), weights.Memory(name)),
            WriteSafetensors = path => File.Copy(Checkpoint, path),
            TokenizerFolder = _folder,
        });
        return ModelPackage.Open(package);
    }

    private static OnnxTrainingEngine Engine()
    {
        var setup = new TrainingSetup { Model = Model, Shape = new(1, Time), Optimizer = new(), Frozen = ["*.attn.*", "*.mlp.*", "*.w?e.*"] };
        return new OnnxTrainingEngine(TrainingGraphs.Create(setup), setup.Shape, new SessionSettings { Threads = 2 });
    }
}
