using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Text;
using OnnxLlm.Training;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Tests.Training;

/// <summary>A classifier that begins with the weights of an encoder that finds hidden tokens, or of another classifier.</summary>
public sealed class ClassifierFineTuningTests : ClassificationRuns
{
    private static readonly string[] Encoder = [.. Small, "model.num_hidden_layers=1", "model.num_attention_heads=4", "steps=4"];

    /// <summary>Frozen, the encoder's weights are those that it was given; the head, which they lack, is trained from fresh ones.</summary>
    [Fact]
    public void Encoder_ThatFoundHiddenTokens_LendsItsWeights_AndTheHeadBeginsFresh()
    {
        var source = Pretrained();
        var notes = Tune("run", $"initial_weights={source}", "frozen=[\"bert.e*\"]", "steps=3");
        Assert.Contains($"initial_weights: '{source}' has no bert.pooler.dense.weight, bert.pooler.dense.bias, classifier.weight, classifier.bias: they begin fresh", notes);
        using SafetensorsFile before = Safetensors.Open(Path.Combine(source, "model.safetensors")), after = Safetensors.Open(Path.Combine(Latest("run").Path, "model.safetensors"));
        var config = ModelConfig.Load(Path.Combine(Latest("run").Path, "config.json"));
        var fresh = new Initializer(config, seed: 1337);
        foreach (var p in ModelParameters.Of(config))
            if (ModelParameters.IsClassificationHead(p.Name)) Assert.NotEqual(fresh.Values(p).As<float>().ToArray(), after.Span<float>(p.Name).ToArray());
            else Assert.Equal(before.Bytes(p.Name).ToArray(), after.Bytes(p.Name).ToArray());
    }

    /// <summary>Two updates of Adam's move a parameter by about twice the learning rate, 2e-30.</summary>
    [Fact]
    public void Head_BeginsAsInAFreshRun()
    {
        var source = Pretrained();
        Tune("tuned", $"initial_weights={source}", "steps=2", "optimizer.learning_rate=1e-30", "optimizer.weight_decay=0");
        using var file = Safetensors.Open(Path.Combine(Latest("tuned").Path, "model.safetensors"));
        var config = ModelConfig.Load(Path.Combine(Latest("tuned").Path, "config.json"));
        foreach (var p in ModelParameters.Of(config).Where(p => ModelParameters.IsClassificationHead(p.Name)))
            foreach (var (fresh, value) in new Initializer(config, seed: 1337).Values(p).As<float>().ToArray().Zip(file.Span<float>(p.Name).ToArray())) Assert.Equal(fresh, value, 1e-25f);
    }

    [Fact]
    public void OtherClassifier_LendsItsHeadAndItsLabels_InItsOrder()
    {
        Assert.Equal(Outcome.Finished, Run("first", "steps=60", "model.architectures=[\"BertForSequenceClassification\"]", "model.id2label={\"0\":\"good\",\"1\":\"bad\"}"));
        var notes = Tune("second", $"initial_weights={Latest("first").Path}", "steps=2", "optimizer.learning_rate=1e-30");
        Assert.DoesNotContain(notes, note => note.Contains("fresh", StringComparison.Ordinal));
        Assert.Equal(["good", "bad"], ModelConfig.Load(Path.Combine(Latest("second").Path, "config.json")).Labels.AsEnumerable());
        Assert.Equal(Latest("first").State.ValidationLoss!.Value, Latest("second").State.ValidationLoss!.Value, 1e-6);

        Write("train", [("a", "good"), ("b", "new")]);
        var error = Assert.Throws<TrainingException>(() => Tune("third", $"initial_weights={Latest("first").Path}", "steps=2"));
        Assert.EndsWith(":2: the label 'new' is none of the model's: good, bad", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Head_ForAnotherNumberOfLabels_IsRefused()
    {
        Run("first", "steps=2");
        Write("train", [("a", "good"), ("b", "bad"), ("c", "new")]);
        var error = Assert.Throws<TrainingException>(() => Run("second", "steps=2", $"initial_weights={Latest("first").Path}"));
        Assert.StartsWith("initial_weights: classifier.weight is [2, 32] in ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Classifier_DoesNotBecomeAFinderOfHiddenTokens_Unasked()
    {
        Run("first", "steps=2");
        var error = Assert.Throws<TrainingException>(() => Tune("second", $"initial_weights={Latest("first").Path}", "steps=2", "objective=masked-lm"));
        Assert.EndsWith("objective: a model with labels is trained by classification", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tokenizer_ThatIsNotTheModels_IsRefused()
    {
        var source = Pretrained();
        BpeTrainer.Train(["something else"], new BpeSettings { VocabularySize = 270 }).Save(source);
        Assert.StartsWith("classification: the tokenizer is not that of initial_weights", Assert.Throws<TrainingException>(() => Tune("run", $"initial_weights={source}")).Message, StringComparison.Ordinal);
        Tokenizer.Save(source);
        Tune("run", $"initial_weights={source}", "steps=2");
    }

    /// <summary>The latest checkpoint of an encoder that found hidden tokens in the same texts.</summary>
    private string Pretrained()
    {
        var shards = Path.Combine(Folder, "shards");
        using (var writer = new ShardWriter(shards, new ShardSettings { VocabularySize = 300, Separator = 0, TokenizerHash = Tokenizer.Hash, CorpusHash = "lines" }))
        {
            foreach (var (split, seed) in new[] { (Split.Train, 1), (Split.Valid, 2) })
                foreach (var (text, i) in Lines(seed, 100).Select((line, i) => (line.Text, i))) writer.Add(split, $"{i}", Tokenizer.Encode(text));
            writer.Finish();
        }
        Assert.Equal(Outcome.Finished, Start("pretrained", [.. Encoder, "objective=masked-lm", $"data={shards}", $"masking.tokenizer={Data}"]));
        return Latest("pretrained").Path;
    }

    /// <summary>The config without its model, which is that of the weights. Returns what was told.</summary>
    private List<string> Tune(string run, params string[] overrides)
    {
        var json = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Support.Repository.PathOf("training", "configs", ConfigName)))!.AsObject();
        json.Remove("model");
        var config = ConfigFile.Parse(json.ToJsonString(), [$"data={Data}", "threads=1", .. Small.Where(setting => !setting.StartsWith("model.", StringComparison.Ordinal)), .. overrides], ConfigName);
        var view = new TestView(_ => { });
        new TrainingRun(RunFolder.Create(Path.Combine(Folder, run)), new RunOptions { Command = "train" }, view, TimeProvider.System).Start(config, default);
        return view.Notes;
    }
}
