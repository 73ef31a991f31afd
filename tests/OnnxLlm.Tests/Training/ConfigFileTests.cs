using OnnxLlm.Tests.Support;
using OnnxLlm.Training;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Tests.Training;

public class ConfigFileTests
{
    private const string Model = """{ "model_type": "llama", "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 16 }""";

    [Theory]
    [InlineData("quickstart.json")]
    [InlineData("gpt2-small.json")]
    [InlineData("tiny.json")]
    public void ShippedConfig_IsValid(string name) => Assert.NotNull(ConfigFile.Load(Repository.PathOf("training", "configs", name), []));

    [Fact]
    public void Config_WrittenAndReadAgain_IsTheSame()
    {
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", "quickstart.json"), []);
        var text = System.Text.Json.JsonSerializer.Serialize(config, StrictJson.Options);

        Assert.Equal(config, ConfigFile.Parse(text, [], "copy.json"));
    }

    [Fact]
    public void Override_ChangesNestedValues_AndABudgetReplacesTheOther()
    {
        var config = Parse("\"steps\": 10", "minutes=0.5", "optimizer.learning_rate=3e-4", "model.hidden_size=64", "data=data/other", "schedule.type=wsd");

        Assert.Equal((null, 0.5), (config.Steps, config.Minutes));
        Assert.Equal((3e-4, 64, "data/other", ScheduleKind.Wsd), (config.Optimizer.LearningRate, config.Model.Width, config.Data, config.Schedule.Type));
    }

    [Fact]
    public void UnknownKey_IsRefusedWithTheNearestName() =>
        Refused("\"steps\": 10, \"optimiser\": {}", "Config 'run.json': optimiser: unknown key; did you mean 'optimizer'?");

    [Fact]
    public void UnknownKey_InASection_IsNamedWithItsPath() =>
        Refused("\"steps\": 10, \"optimizer\": { \"lerning_rate\": 1 }", "Config 'run.json': optimizer.lerning_rate: unknown key; did you mean 'learning_rate'?");

    [Fact]
    public void UnknownKey_OfTheModel_IsRefusedByTheModel() => Assert.Contains("hidden_sise", Message("\"steps\": 10", "model.hidden_sise=3"), StringComparison.Ordinal);

    [Fact]
    public void AllMistakes_AreReportedAtOnce() => Refused(
        "\"steps\": \"many\", \"keeep\": 1, \"kernels\": 1, \"schedule\": { \"type\": \"cosin\" }, \"frozen\": \"*.bias\"",
        """
        Config 'run.json' has 5 mistakes:
          steps: expected a whole number, got "many"
          keeep: unknown key; did you mean 'keep'?
          kernels: expected true or false, got 1
          schedule.type: "cosin" is none of cosine, linear, constant, wsd; did you mean 'cosine'?
          frozen: expected a list of texts, got "*.bias"
        """);

    [Fact]
    public void MissingKeys_AreNamed() => Assert.Equal(
        "Config 'run.json' has 4 mistakes:\n  model: is missing\n  data: is missing\n  global_batch: is missing\n  micro_batch: is missing",
        Assert.Throws<TrainingException>(() => ConfigFile.Parse("{ \"steps\": 1 }", [], "run.json")).Message);

    [Fact]
    public void Batch_ThatDoesNotDivide_IsRefusedWithTheThreeNumbers() =>
        Refused("\"steps\": 10", "Config 'run.json': global_batch: 30 sequences do not divide into micro-batches of 8: 30 = 3 × 8 + 6", "global_batch=30", "micro_batch=8");

    [Fact]
    public void BrokenRules_AreReportedTogether() => Refused(
        "\"steps\": 10, \"epochs\": 2, \"sequence_length\": 17, \"optimizer\": { \"beta1\": 1.5 }, \"schedule\": { \"warmup_steps\": 10 }",
        """
        Config 'run.json' has 4 mistakes:
          optimizer.beta1: must be from 0 up to, not including, 1, got 1.5
          only one of steps, epochs and minutes may be set, got steps and epochs
          schedule.warmup_steps: 10 must be below steps, 10
          sequence_length: 17 is longer than the model's context of 16
        """);

    [Fact]
    public void UnknownOptimizer_IsRefusedWithTheNearestName() => Refused(
        "\"steps\": 10", "Config 'run.json': optimizer.type: \"muonn\" is none of adamw, adam, sgd, momentum, adagrad, rmsprop, muon; did you mean 'muon'?", "optimizer.type=muonn");

    [Fact]
    public void Int8Moments_OfAnOptimizerWithoutThem_AreRefused() => Refused(
        "\"steps\": 10", "Config 'run.json': optimizer.moments: int8 is for adamw and muon, not for rmsprop", "optimizer.moments=int8", "optimizer.type=rmsprop");

    [Fact]
    public void Schedule_LongerThanTheRun_IsRefused() => Refused(
        "\"steps\": 100",
        "Config 'run.json': schedule: 60 steps of warm-up and 50 of decay (decay_fraction) are more than the 100 steps of the run",
        "schedule.type=wsd", "schedule.warmup_steps=60", "schedule.decay_fraction=0.5");

    [Fact]
    public void Stages_LongerThanTheRun_AreRefused() => Refused(
        "\"steps\": 100",
        "Config 'run.json': stages: their 100 steps must be below steps, 100, or no step sees whole sequences",
        """stages=[{"steps":60,"sequence_length":4},{"steps":40,"sequence_length":8}]""");

    [Fact]
    public void NoBudget_IsRefused() => Refused("\"seed\": 1", "Config 'run.json': one of steps, epochs and minutes must say when to stop");

    [Fact]
    public void DuplicateKey_IsRefused() => Assert.StartsWith("Config 'run.json' is not valid JSON: ", Message("\"steps\": 1, \"steps\": 2"), StringComparison.Ordinal);

    [Fact]
    public void Override_WithoutAnEqualsSign_IsRefused() => Refused("\"steps\": 10", "Config 'run.json': --set steps: expected key=value", "steps");

    [Fact]
    public void MissingFile_IsOneLine() =>
        Assert.StartsWith("Config 'nowhere.json' cannot be read: ", Assert.Throws<TrainingException>(() => ConfigFile.Load("nowhere.json", [])).Message, StringComparison.Ordinal);

    private static void Refused(string json, string message, params string[] overrides) => Assert.Equal(message.ReplaceLineEndings("\n"), Message(json, overrides));

    private static string Message(string json, params string[] overrides) => Assert.Throws<TrainingException>(() => Parse(json, overrides)).Message;

    private static RunConfig Parse(string json, params string[] overrides) =>
        ConfigFile.Parse($$"""{ "model": {{Model}}, "data": "data/x", "global_batch": 8, "micro_batch": 4, {{json}} }""", overrides, "run.json");
}
