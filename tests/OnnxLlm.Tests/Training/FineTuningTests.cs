using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;
using OnnxLlm.Training;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Runs;
using TrainingRun = OnnxLlm.Training.Runs.TrainingRun;

namespace OnnxLlm.Tests.Training;

/// <summary>Training that goes on from the weights of another: our own checkpoint, or a model of PyTorch's.</summary>
public sealed class FineTuningTests : TinyRuns
{
    private static string Recorded => Path.Combine(AppContext.BaseDirectory, "Recorded", "gpt2-tiny");

    public FineTuningTests()
    {
        // New text for the imported model, which knows 61 tokens.
        using var writer = new ShardWriter(NewText, new ShardSettings { VocabularySize = 61, Separator = 0, TokenizerHash = "tokenizer", CorpusHash = "corpus" });
        foreach (var (split, count) in new[] { (Split.Train, 3000), (Split.Valid, 600) })
            writer.Add(split, split, [.. TinyTraining.Tokens(count).Select(token => token % 61)]);
        writer.Finish();
    }

    private string NewText => Path.Combine(Folder, "new");

    [Fact]
    public void ImportedWeights_GiveTheRecordedLogits()
    {
        using var recorded = new RecordedModel("gpt2-tiny");
        using var weights = StartingWeights.Open(Recorded);
        var source = weights.Source(ModelParameters.Of(recorded.Config));
        var model = new TinyModel(recorded.Config, name => MemoryMarshal.Cast<byte, float>(source(name)!.Bytes.Span).ToArray());

        float[] logits = TrainingLogits.Of(model, recorded.InputIds, new(RecordedModel.Batch, RecordedModel.Time));

        Closeness.AssertClose(logits, recorded.Reference("logits"), 1e-4, "logits");
    }

    [Fact]
    public void ImportedModel_TrainedOnNewText_LosesLossFromItsOwnWeightsOn()
    {
        Assert.Equal(Outcome.Finished, Start("tuned", Config("initial_weights", Recorded, "steps=60")));

        var losses = Losses("tuned");
        Assert.True(losses[^1] < 0.8 * losses[0], $"{losses[0]} → {losses[^1]}");
        var record = RunFolder.Open(Path.Combine(Folder, "tuned")).Read();
        Assert.Equal((ModelFamily.Gpt2, StartingWeights.Hash(Recorded)), (record.Config.Model.Family, record.InitialWeights));
    }

    [Fact]
    public void LastLayerOnly_TrainsIt_AndKeepsEveryBitOfTheRest()
    {
        string[] frozen = ["transformer.w*", "transformer.h.0.*"];
        Assert.Equal(Outcome.Finished, Start("last", Config("initial_weights", Recorded, "steps=60", "frozen=[\"transformer.w*\",\"transformer.h.0.*\"]")));

        var losses = Losses("last");
        Assert.True(losses[^1] < losses[0], $"{losses[0]} → {losses[^1]}");
        using SafetensorsFile before = Safetensors.Open(Path.Combine(Recorded, "model.safetensors")), after = Safetensors.Open(Path.Combine(Latest("last").Path, "model.safetensors"));
        foreach (var p in FrozenParameters.Freeze(ModelParameters.Of(ModelConfig.Load(Path.Combine(Recorded, "config.json"))), frozen))
            Assert.True(p.Trainable != before.Bytes(p.Name).SequenceEqual(after.Bytes(p.Name)), p.Name);
    }

    [Fact]
    public void OwnCheckpoint_IsWhereAnotherRunBegins()
    {
        Start("first", "steps=20");
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", "tiny.json"), [$"data={Data}", "threads=1", $"initial_weights={Latest("first").Path}"]);
        using var engine = (OnnxTrainingEngine)TrainingEngines.Open(config, TrainingRun.GraphsOf(config), Folder, checkpoint: null, Path.Combine(Folder, "offload"));
        using var file = Safetensors.Open(Path.Combine(Latest("first").Path, "model.safetensors"));

        Assert.All(TinyTraining.Parameters, p => Assert.Equal(file.Span<float>(p.Name).ToArray(), engine.Tensors[p.Name].Span<float>().ToArray()));
        Assert.All(TinyTraining.Parameters, p => Assert.All(engine.Tensors[p.FirstMoment].Span<float>().ToArray(), moment => Assert.Equal(0, moment)));
    }

    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void SixteenBits_WithTheNamesOfGpt2sOwnFiles_AreWidened(ElementType type)
    {
        float[] values = [1, -0.5f, 0, 3.25f];
        byte[] bytes = type == ElementType.Float16
            ? MemoryMarshal.AsBytes<Half>([.. values.Select(v => (Half)v)]).ToArray()
            : MemoryMarshal.AsBytes<ushort>([.. values.Select(v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16))]).ToArray();
        Safetensors.Write(Path.Combine(Folder, "model.safetensors"), [SafetensorsSource.Of("wte.weight", type, [2, 2], bytes)]);
        using var weights = StartingWeights.Open(Folder);
        float[] read = new float[4];

        weights.Fill(new("transformer.wte.weight", [2, 2], Decay: true), read);

        Assert.Equal(values, read);
    }

    [Fact]
    public void ModelThatWasTrainedWithDropout_IsTold()
    {
        Assert.Null(StartingWeights.DropoutNote(Recorded));
        string folder = Directory.CreateDirectory(Path.Combine(Folder, "dropped")).FullName, path = Path.Combine(folder, "config.json");
        File.WriteAllText(path, File.ReadAllText(Path.Combine(Recorded, "config.json")).Replace("\"embd_pdrop\": 0.0", "\"embd_pdrop\": 0.1", StringComparison.Ordinal));
        Assert.Equal($"initial_weights: '{path}' has embd_pdrop; dropout is left out, training drops nothing.", StartingWeights.DropoutNote(folder));
    }

    [Fact]
    public void WeightsOfAnotherModel_AreRefusedInOneLine_BeforeAnythingIsWritten()
    {
        string message = Assert.Throws<TrainingException>(() => Start("run", $"initial_weights={Recorded}")).Message;
        Assert.Equal($"initial_weights: '{Path.Combine(Recorded, "model.safetensors")}' has no model.embed_tokens.weight.", message);
        message = Assert.Throws<TrainingException>(() => Start("run", $"initial_weights={Folder}")).Message;
        Assert.Equal($"initial_weights: '{Folder}' has no model.safetensors.", message);
        Start("first", "steps=6");
        message = Assert.Throws<TrainingException>(() => Start("run", $"initial_weights={Latest("first").Path}", "model.vocab_size=80")).Message;
        Assert.Equal($"initial_weights: model.embed_tokens.weight is [64, 32] in '{Path.Combine(Latest("first").Path, "model.safetensors")}', the model has [80, 32].", message);
        message = Assert.Throws<TrainingException>(() => Config("initial_weights", Folder)).Message;
        Assert.Equal($"initial_weights: '{Folder}' has no config.json, and the config has no model.", message);
        Assert.False(File.Exists(Path.Combine(Folder, "run", "run.json")));
    }

    [Fact]
    public void Resume_BeforeTheFirstCheckpoint_NeedsTheSameWeights()
    {
        Start("first", "steps=6");
        string weights = Path.Combine(Folder, "weights");
        Directory.CreateDirectory(weights);
        File.Copy(Path.Combine(Latest("first").Path, "model.safetensors"), Path.Combine(weights, "model.safetensors"));
        Start("second", $"initial_weights={weights}", "steps=6");
        byte[] trained = File.ReadAllBytes(Path.Combine(Latest("second").Path, "model.safetensors"));

        Directory.Delete(Latest("second").Path, recursive: true);
        Assert.Equal(Outcome.Finished, Resume("second"));
        Assert.Equal(trained, File.ReadAllBytes(Path.Combine(Latest("second").Path, "model.safetensors")));

        Directory.Delete(Latest("second").Path, recursive: true);
        File.Copy(Path.Combine(Recorded, "model.safetensors"), Path.Combine(weights, "model.safetensors"), overwrite: true);
        Assert.Equal($"The weights in '{weights}' are not those that the run began with, and it has no checkpoint yet.", Assert.Throws<TrainingException>(() => Resume("second")).Message);
    }

    [Fact]
    public void Resume_FromACheckpoint_DoesWithoutTheWeightsOfTheBeginning()
    {
        Start("first", "steps=6");
        string weights = Path.Combine(Folder, "weights");
        Directory.Move(Latest("first").Path, weights);
        Start("second", stopAt: 8, $"initial_weights={weights}", "steps=12");

        Directory.Delete(weights, recursive: true);
        Assert.Equal(Outcome.Finished, Resume("second"));
    }

    /// <summary>The tiny config without its model.</summary>
    private RunConfig Config(string key, string value, params string[] overrides)
    {
        var json = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Repository.PathOf("training", "configs", "tiny.json")))!.AsObject();
        json.Remove("model");
        json[key] = value;
        return ConfigFile.Parse(json.ToJsonString(), [$"data={NewText}", "threads=1", "sequence_length=16", .. overrides], "tiny.json");
    }

    private Outcome Start(string run, RunConfig config) =>
        new TrainingRun(RunFolder.Create(Path.Combine(Folder, run)), new RunOptions { Command = "train" }, new TestView(_ => { }), TimeProvider.System).Start(config, default);
}
