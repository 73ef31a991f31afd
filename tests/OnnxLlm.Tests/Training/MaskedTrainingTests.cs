using OnnxLlm.Tests.Support;
using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Commands;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Tests.Training;

/// <summary>An encoder is trained as decoders are: exactly resumable, in any micro-batches, with every setting that is not for decoders alone.</summary>
public sealed class MaskedTrainingTests : MaskedRuns
{
    /// <summary>A uniform guess has a loss of ln 256 = 5.5.</summary>
    [Fact]
    public void ToyTask_IsLearned_ToALossBelowATenth()
    {
        var begun = TimeProvider.System.GetTimestamp();
        Assert.Equal(Outcome.Finished, Run("run", "steps=1500", "schedule.warmup_steps=20", "model.initializer_range=0.1", "threads=2"));
        Assert.InRange(Latest("run").State.ValidationLoss!.Value, 0, 0.1);
        Assert.InRange(TimeProvider.System.GetElapsedTime(begun), TimeSpan.Zero, TimeSpan.FromMinutes(2));
    }

    [Fact]
    public void Resume_EqualsAnUninterruptedRun_BitForBit() => AssertResumesExactly([.. Small, "steps=20"]);

    /// <summary>Micro-batches of one sequence have two or three tokens to find, or none; where the first has none, the gradients of the step before must not stay.</summary>
    [Fact]
    public void MicroBatches_WithUnequalNumbersOfHiddenTokens_GiveTheLossesOfWholeBatches()
    {
        Run("whole", "steps=12", "micro_batch=16");
        Run("parts", "steps=12", "micro_batch=1");
        AssertSameLosses("whole", "parts");
    }

    [Fact]
    public void Batch_WithNothingToFind_IsLeftOut()
    {
        Assert.Equal(Outcome.Finished, Run("run", "steps=12", "global_batch=1", "micro_batch=1"));
        var state = Latest("run").State;
        Assert.InRange(state.Skipped, 1, 11);
        Assert.Equal(12, state.Skipped + state.Updates);
    }

    [Theory]
    [InlineData("precision=bf16")]
    [InlineData("activation_checkpointing=block")]
    [InlineData("activation_checkpointing=selective")]
    [InlineData("kernels=false")]
    [InlineData("optimizer.type=muon")]
    [InlineData("optimizer.layer_decay=0.9")]
    [InlineData("optimizer_offload=disk")]
    [InlineData("stability.statistics_every=2")]
    [InlineData("stages=[{\"steps\":2,\"sequence_length\":8}]")]
    [InlineData("frozen=[\"bert.encoder.layer.0.*\"]")]
    public void Setting_OfOtherRuns_TrainsAnEncoderToo(string setting)
    {
        Assert.Equal(Outcome.Finished, Run("run", "steps=30", setting));
        var losses = Losses("run");
        Assert.Equal(30, losses.Count);
        Assert.InRange(losses[^5..].Average(), 0, losses[0] - 0.2);
    }

    [Fact]
    public void Tokens_AreThoseThatWereRead_NotThoseThatWereHidden()
    {
        Run("run", "steps=3");
        Assert.Equal(3 * 16 * Time, Latest("run").State.Tokens);
        Assert.InRange(MetricsLog.Steps(Path.Combine(Folder, "run", "metrics.jsonl")).Last().ModelGflops!.Value, 0.01, 1000);
    }

    [Theory]
    [InlineData("objective=causal-lm", "objective: a bert model is trained by masked-lm or classification")]
    [InlineData("masking.rate=0", "masking.rate: must be above 0 and below 1, got 0")]
    [InlineData("masking.random=0.3", "masking.random: must be 0 or more, and with masking.mask at most 1, got 0.3")]
    [InlineData("samples={\"every\":5,\"prompts\":[\"a\"]}", "samples.every: a bert model continues no text, so there are no samples of it")]
    [InlineData("engine=ort-training", "engine: ort-training trains decoders here; for a bert model use engine onnx.")]
    [InlineData("model.vocab_size=260", "data: '@' has ids of a vocabulary of 261, model.vocab_size is 260.")]
    [InlineData("masking.tokenizer=nowhere", "masking: no tokenizer.json in nowhere; name its folder in masking.tokenizer.")]
    public void Config_ThatCannotTrainAnEncoder_IsRefusedInOneSentence(string setting, string told)
    {
        var error = Assert.Throws<TrainingException>(() => Run("run", "steps=3", setting));
        Assert.EndsWith(told.Replace("@", Data, StringComparison.Ordinal), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Objective_OfADecoder_IsNotMaskedLm() => Assert.EndsWith(
        "objective: a gpt2 model is trained by causal-lm", Assert.Throws<TrainingException>(() => Start("run", "steps=3", "model={\"preset\":\"gpt2\"}", "sequence_length=16")).Message, StringComparison.Ordinal);

    [Fact]
    public void Tokenizer_WithoutAMask_IsRefused()
    {
        WriteData(["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>", "<|other|>"]);
        Assert.Equal("masking: the tokenizer has no mask token; train one with: tokenizer train --mask", Assert.Throws<TrainingException>(() => Run("run", "steps=3")).Message);
    }

    [Fact]
    public void MemoryPlan_OfAnEncoder_IsRefused()
    {
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", ConfigName), [.. Small, $"data={Data}"]);
        Assert.StartsWith("The plan of memory is for decoders", Assert.Throws<TrainingException>(() => MemoryTable.PlanOf(config)).Message, StringComparison.Ordinal);
    }
}
