using OnnxLlm.Text;
using OnnxLlm.Training;

namespace OnnxLlm.Tests.Training;

/// <summary>Runs whose data is a cycle of 61 tokens, each of which tells those around it.</summary>
public sealed class SpanTrainingTests : TinyRuns
{
    private static readonly string[] Small =
    [
        "objective=span-corruption", "model.vocab_size=270", "model.d_model=64", "model.d_kv=16", "model.num_layers=1", "model.d_ff=128", "model.n_positions=24",
        "global_batch=16", "micro_batch=8", "optimizer.learning_rate=3e-3", "schedule.warmup_steps=1", "log_every=1", "evaluate_tokens=640",
    ];

    public SpanTrainingTests() => WriteData(BpeSettings.Sentinels.Take(6));

    private protected override string ConfigName => "t5.json";

    /// <summary>A uniform guess among the tokens of the cycle has a loss of ln 61 = 4.1, less what the sentinels and the end, which are certain, bring.</summary>
    [Fact]
    public void HiddenSpans_AreLearned()
    {
        Assert.Equal(Outcome.Finished, Run("run", "steps=300", "threads=2"));
        Assert.InRange(Latest("run").State.ValidationLoss!.Value, 0, 1);
    }

    [Fact]
    public void Resume_EqualsAnUninterruptedRun_BitForBit() => AssertResumesExactly([.. Small, "steps=20"]);

    [Fact]
    public void MicroBatches_GiveTheLossesOfWholeBatches()
    {
        Run("whole", "steps=12", "micro_batch=16");
        Run("parts", "steps=12", "micro_batch=1");
        AssertSameLosses("whole", "parts");
    }

    [Theory]
    [InlineData("spans.rate=1", "spans.rate: must be above 0 and below 1, got 1")]
    [InlineData("spans.length=0.5", "spans.length: must be at least 1, got 0.5")]
    [InlineData("sequence_length=2", "sequence_length: must be at least 3, a token, a sentinel and an end")]
    [InlineData("spans.tokenizer=nowhere", "spans: no tokenizer.json in nowhere; name its folder in spans.tokenizer.")]
    public void Config_ThatDoesNotFit_IsRefusedInOneSentence(string setting, string told) =>
        Assert.EndsWith(told, Assert.Throws<TrainingException>(() => Run("run", "steps=3", setting)).Message, StringComparison.Ordinal);

    [Fact]
    public void Tokenizer_WithoutSentinels_IsRefused()
    {
        WriteData([]);
        Assert.Equal("spans: the tokenizer has no sentinels; train one with: tokenizer train --sentinels 100", Assert.Throws<TrainingException>(() => Run("run", "steps=3")).Message);
    }

    private Outcome Run(string run, params string[] overrides) => Start(run, [.. Small, .. overrides]);

    private void WriteData(IEnumerable<string> sentinels)
    {
        var tokenizer = BpeTrainer.Train(["ab"], new BpeSettings { VocabularySize = 266, SpecialTokens = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>", .. sentinels] });
        tokenizer.Save(Data);
        using var writer = new ShardWriter(Data, new ShardSettings { VocabularySize = 266, Separator = 0, TokenizerHash = tokenizer.Hash, CorpusHash = "cycle" });
        writer.Add(Split.Train, "a", Cycle(0, 8000));
        writer.Add(Split.Valid, "b", Cycle(17, 2000));
        writer.Finish();
    }

    private static int[] Cycle(int from, int count) => [.. Enumerable.Range(from, count).Select(at => 20 + 7 * at % 61)];
}
