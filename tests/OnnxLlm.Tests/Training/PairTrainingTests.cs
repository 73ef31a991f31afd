using OnnxLlm.Tests.Support;
using OnnxLlm.Text;
using OnnxLlm.Training;
using OnnxLlm.Training.Commands;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Tests.Training;

/// <summary>An encoder-decoder is trained as the other families are: exactly resumable, in any micro-batches, with every setting that is not for decoders alone.</summary>
public sealed class PairTrainingTests : PairRuns
{
    /// <summary>A uniform guess has a loss of ln 261 = 5.6.</summary>
    [Fact]
    public void CopyTask_IsLearned_ToALossBelowATenth()
    {
        var begun = TimeProvider.System.GetTimestamp();
        Assert.Equal(Outcome.Finished, Learn("run"));
        Assert.InRange(Latest("run").State.ValidationLoss!.Value, 0, 0.1);
        Assert.InRange(TimeProvider.System.GetElapsedTime(begun), TimeSpan.Zero, TimeSpan.FromMinutes(2));
    }

    [Fact]
    public void Resume_EqualsAnUninterruptedRun_BitForBit() => AssertResumesExactly([.. Small, "steps=20"]);

    /// <summary>Targets of micro-batches of one pair have 4 to 9 tokens.</summary>
    [Fact]
    public void MicroBatches_WithTargetsOfUnequalLengths_GiveTheLossesOfWholeBatches()
    {
        Run("whole", "steps=12", "micro_batch=16");
        Run("parts", "steps=12", "micro_batch=1");
        AssertSameLosses("whole", "parts");
    }

    [Theory]
    [InlineData("precision=bf16")]
    [InlineData("activation_checkpointing=block")]
    [InlineData("activation_checkpointing=selective")]
    [InlineData("kernels=false")]
    [InlineData("model.feed_forward_proj=relu")]
    [InlineData("model.tie_word_embeddings=false")]
    [InlineData("model.num_decoder_layers=1")]
    [InlineData("optimizer.type=muon")]
    [InlineData("optimizer.layer_decay=0.9")]
    [InlineData("optimizer_offload=disk")]
    [InlineData("stability.statistics_every=2")]
    [InlineData("frozen=[\"encoder.block.0.*\"]")]
    public void Setting_TrainsAnEncoderDecoderToo(string setting)
    {
        Assert.Equal(Outcome.Finished, Run("run", "steps=30", setting));
        var losses = Losses("run");
        Assert.Equal(30, losses.Count);
        Assert.InRange(losses[^5..].Average(), 0, losses[0] - 0.5);
    }

    [Fact]
    public void Tokens_AreThoseThatAreReadOnBothSides()
    {
        WritePairs("train", Enumerable.Repeat("abc", 48));
        Run("run", "steps=3");
        Assert.Equal(3 * 16 * 2 * ("abc".Length + 1), Latest("run").State.Tokens);
        Assert.InRange(MetricsLog.Steps(Path.Combine(Folder, "run", "metrics.jsonl")).Last().ModelGflops!.Value, 0.01, 1000);
    }

    [Theory]
    [InlineData("objective=causal-lm", "objective: a t5 model is trained by seq2seq or span-corruption")]
    [InlineData("samples={\"every\":5,\"prompts\":[\"a\"]}", "samples.every: a t5 model continues no text, so there are no samples of it")]
    [InlineData("stages=[{\"steps\":2,\"sequence_length\":5}]", "stages: a text and what is written for it cannot be cut into shorter ones")]
    [InlineData("engine=ort-training", "engine: ort-training trains decoders here; for a t5 model use engine onnx.")]
    [InlineData("model.vocab_size=259", "pairs: the tokenizer has 260 tokens, model.vocab_size is 259.")]
    [InlineData("pairs.tokenizer=nowhere", "pairs: no tokenizer.json in nowhere; name its folder in pairs.tokenizer.")]
    [InlineData("sequence_length=1", "sequence_length: must be above 1, or nothing fits before the end of a text")]
    public void Config_ThatCannotTrainAnEncoderDecoder_IsRefusedInOneSentence(string setting, string told)
    {
        var error = Assert.Throws<TrainingException>(() => Run("run", "steps=3", setting));
        Assert.EndsWith(told, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"input\":\"a\"", "is not valid JSON")]
    [InlineData("{\"input\":\"a\"}", "has no string \"target\"")]
    [InlineData("{\"input\":\"a\",\"target\":7}", "has no string \"target\"")]
    [InlineData("{\"input\":\"a\",\"target\":\"\"}", "its \"target\" is empty")]
    [InlineData("null", "is not a JSON object with a string \"input\" and a string \"target\"")]
    public void Line_ThatIsNoPair_IsToldWithItsNumber(string line, string told)
    {
        var path = Path.Combine(Data, "train.jsonl");
        File.AppendAllLines(path, ["", line]);
        Assert.Equal($"{path}:4002: {told}", Assert.Throws<TrainingException>(() => Run("run", "steps=3")).Message);
    }

    [Fact]
    public void Data_WithoutPairs_IsRefused()
    {
        var path = Path.Combine(Data, "valid.jsonl");
        File.WriteAllText(path, "\n");
        Assert.Equal($"data: '{path}' has no texts.", Assert.Throws<TrainingException>(() => Run("run", "steps=3")).Message);
        File.Delete(Path.Combine(Data, "train.jsonl"));
        Assert.Equal($"data: '{Data}' has no train.jsonl.", Assert.Throws<TrainingException>(() => Run("run", "steps=3")).Message);
    }

    [Fact]
    public void WithoutPairsToValidateOn_NothingIsValidated()
    {
        File.Delete(Path.Combine(Data, "valid.jsonl"));
        Assert.Equal(Outcome.Finished, Run("run", "steps=3", "evaluate_every=1"));
        Assert.Null(Latest("run").State.ValidationLoss);
    }

    /// <summary>The weights that a run begins with know only their own tokens.</summary>
    [Fact]
    public void Tokenizer_ThatTheInitialWeightsDoNotKnow_IsRefused()
    {
        Run("first", "steps=2");
        var (weights, other) = (Latest("first").Path, BpeTrainer.Train(["ab"], new BpeSettings { VocabularySize = 260, SpecialTokens = ["<|endoftext|>", "<|pad|>", "<|other|>", "<|im_end|>"] }));
        other.Save(weights);
        Assert.Equal(
            $"pairs: the tokenizer is not that of initial_weights, '{weights}'; name that folder in pairs.tokenizer.",
            Assert.Throws<TrainingException>(() => Run("second", "steps=2", $"initial_weights={weights}")).Message);
    }

    [Fact]
    public void MemoryPlan_OfAnEncoderDecoder_IsRefused()
    {
        var config = ConfigFile.Load(Repository.PathOf("training", "configs", ConfigName), [.. Small, $"data={Data}"]);
        Assert.StartsWith("The plan of memory is for decoders", Assert.Throws<TrainingException>(() => MemoryTable.PlanOf(config)).Message, StringComparison.Ordinal);
    }
}
