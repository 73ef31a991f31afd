using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Training;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;
using OnnxLlm.Training.Report;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Tests.Training;

/// <summary>A classifier is trained as other models are: exactly resumable, in any micro-batches, from any weights, and its accuracy is told.</summary>
public sealed class ClassificationTrainingTests : ClassificationRuns
{
    [Fact]
    public void ToyTask_IsLearned_AndItsAccuracyIsLogged_BesideThatOfTheMostFrequentLabel()
    {
        Assert.Equal(Outcome.Finished, Run("run", "epochs=8", "evaluate_every=20"));
        var validations = Validations("run");
        Assert.InRange(validations[^1].ValidationAccuracy!.Value, 0.97, 1);
        Assert.Equal(validations[^1].ValidationAccuracy, Latest("run").State.ValidationAccuracy);
        Assert.All(validations, v => Assert.Equal((51 / 101.0, 101), (v.MajorityAccuracy, v.ValidationTokens)));
        Assert.All(validations, v => Assert.Null(v.ValidationPerplexity));
        Assert.True(validations[0].ValidationLoss > validations[^1].ValidationLoss);
        Assert.Contains("<small>accuracy</small>", File.ReadAllText(HtmlReport.Write(RunFolder.Open(Path.Combine(Folder, "run")))), StringComparison.Ordinal);
    }

    [Fact]
    public void Checkpoint_AndRecord_NameTheLabels_Sorted()
    {
        Run("run", "steps=2");
        var path = Path.Combine(Latest("run").Path, "config.json");
        Assert.Equal(["bad", "good"], ModelConfig.Load(path).Labels.AsEnumerable());
        Assert.Contains("BertForSequenceClassification", File.ReadAllText(path), StringComparison.Ordinal);
        Assert.Equal(["bad", "good"], RunFolder.Open(Path.Combine(Folder, "run")).Read().Config.Model.Labels.AsEnumerable());
    }

    [Fact]
    public void Resume_EqualsAnUninterruptedRun_BitForBit() => AssertResumesExactly([.. Small, "steps=20"]);

    [Fact]
    public void Resume_WithOtherTexts_IsRefused()
    {
        Start("run", stopAt: 3, [.. Small, "steps=9"]);
        Write("train", Lines(3, 400));
        Assert.Contains("is not what the run began with", Assert.Throws<TrainingException>(() => Resume("run")).Message, StringComparison.Ordinal);
    }

    /// <summary>The last batch of an epoch budget is filled up with rows that do not count: 401 texts in batches of 16 leave one.</summary>
    [Fact]
    public void MicroBatches_GiveTheLossesOfWholeBatches_TheLastOneNotFull()
    {
        Write("train", Lines(1, 401));
        Run("whole", "epochs=1", "micro_batch=16");
        Run("parts", "epochs=1", "micro_batch=2");
        Assert.Equal(26, Losses("whole").Count);
        AssertSameLosses("whole", "parts", 1e-3);
        var (one, other) = (Validations("whole")[^1], Validations("parts")[^1]);
        Assert.Equal((one.ValidationTokens, one.MajorityAccuracy), (other.ValidationTokens, other.MajorityAccuracy));
        Assert.Equal(1, other.ValidationLoss!.Value / one.ValidationLoss!.Value, 1e-3);
    }

    [Theory]
    [InlineData("precision=bf16")]
    [InlineData("activation_checkpointing=block")]
    [InlineData("kernels=false")]
    [InlineData("optimizer.type=muon")]
    [InlineData("optimizer.layer_decay=0.9")]
    [InlineData("optimizer_offload=disk")]
    [InlineData("stability.statistics_every=2")]
    [InlineData("frozen=[\"bert.embeddings.*\"]")]
    public void Setting_OfOtherRuns_TrainsAClassifierToo(string setting)
    {
        Assert.Equal(Outcome.Finished, Run("run", "steps=120", setting));
        var losses = Losses("run");
        Assert.InRange(losses[^5..].Average(), 0, losses[0] - 0.2);
    }

    [Fact]
    public void TextsThatAreTooLong_LoseTheirEnds_AndAreCounted()
    {
        var (text, label) = (string.Concat(Enumerable.Repeat("zq ", 40)) + "poor", "bad");
        Write("train", [.. Lines(1, 398), (text, label), (text, label)]);
        Assert.Contains($"data: of 2 of the 400 texts of train.jsonl the end is left out: they have more than {Time} tokens", Notes("run", "steps=2"));
        Assert.Equal("labels: bad × 201, good × 199", Notes("again", "steps=2")[0]);
    }

    [Theory]
    [InlineData("{\"text\":\"a\"", ":3: is not valid JSON")]
    [InlineData("[\"a\",\"b\"]", ":3: is not a JSON object with a string \"text\" and a string \"label\"")]
    [InlineData("{\"label\":\"good\"}", ":3: has no string \"text\"")]
    [InlineData("{\"text\":\"a\",\"label\":1}", ":3: has no string \"label\"")]
    [InlineData("{\"text\":\"\",\"label\":\"good\"}", ":3: its \"text\" is empty")]
    [InlineData("{\"text\":\"a\",\"label\":\"\"}", ":3: its \"label\" is empty")]
    [InlineData("{\"text\":\"\\ud83d\",\"label\":\"good\"}", ":3: is not valid UTF-8")]
    public void Line_ThatIsNoTextWithALabel_IsNamed(string line, string told)
    {
        File.WriteAllLines(Path.Combine(Data, "train.jsonl"), ["{\"text\":\"a\",\"label\":\"good\"}", "", line]);
        Assert.Equal(Path.Combine(Data, "train.jsonl") + told, Refusal());
    }

    [Fact]
    public void Data_ThatCannotBeLearned_IsRefusedInOneSentence()
    {
        Write("valid", [("a", "good"), ("b", "middling")]);
        Assert.Equal($"{Path.Combine(Data, "valid.jsonl")}:2: the label 'middling' is none of the model's: bad, good", Refusal());
        Write("valid", []);
        Assert.Equal($"data: '{Path.Combine(Data, "valid.jsonl")}' has no texts.", Refusal());
        Write("train", [("a", "good"), ("b", "good")]);
        File.Delete(Path.Combine(Data, "valid.jsonl"));
        Assert.Equal($"data: all texts of '{Path.Combine(Data, "train.jsonl")}' have the label 'good'; two labels at least are needed.", Refusal());
        File.Delete(Path.Combine(Data, "train.jsonl"));
        Assert.Equal($"data: '{Data}' has no train.jsonl.", Refusal());
        Assert.False(Directory.Exists(Path.Combine(Folder, "refused")));
    }

    [Theory]
    [InlineData("objective=causal-lm", "objective: a bert model is trained by masked-lm or classification")]
    [InlineData("stages=[{\"steps\":2,\"sequence_length\":4}]", "stages: a text with a label is read whole")]
    [InlineData("model.vocab_size=200", "classification: the tokenizer has 288 tokens, model.vocab_size is 200.")]
    [InlineData("classification.tokenizer=nowhere", "classification: no tokenizer.json in nowhere; name its folder in classification.tokenizer.")]
    [InlineData("engine=ort-training", "engine: ort-training trains decoders here; for a bert model use engine onnx.")]
    public void Config_ThatCannotTrainAClassifier_IsRefusedInOneSentence(string setting, string told) => Assert.Contains(told, Refusal(setting), StringComparison.Ordinal);

    [Fact]
    public void WithoutTextsToValidateOn_NothingIsValidated_AndPatienceIsRefused()
    {
        File.Delete(Path.Combine(Data, "valid.jsonl"));
        Assert.Contains("data: there is no valid.jsonl, so nothing is validated", Notes("run", "steps=3", "evaluate_every=1"));
        Assert.Empty(Validations("run"));
        Assert.Null(Latest("run").State.ValidationLoss);
        Assert.EndsWith("has nothing to validate on.", Refusal("stability.patience=2"), StringComparison.Ordinal);
    }

    private string Refusal(params string[] settings)
    {
        var message = Assert.ThrowsAny<Exception>(() => Run("refused", ["steps=3", .. settings])).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    private List<string> Notes(string run, params string[] overrides)
    {
        var view = new TestView(_ => { });
        var config = OnnxLlm.Training.Configuration.ConfigFile.Load(Support.Repository.PathOf("training", "configs", ConfigName), [$"data={Data}", "threads=1", .. Small, .. overrides]);
        new TrainingRun(RunFolder.Create(Path.Combine(Folder, run)), new RunOptions { Command = "train" }, view, TimeProvider.System).Start(config, default);
        return view.Notes;
    }

    private List<ValidationMetrics> Validations(string run) =>
        [.. MetricsLog.Lines(Path.Combine(Folder, run, "metrics.jsonl")).Where(line => line.TryGetProperty("validation_tokens", out _)).Select(MetricsLog.Read<ValidationMetrics>)];
}
