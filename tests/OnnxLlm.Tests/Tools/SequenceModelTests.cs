using OnnxLlm.Graphs.Models;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Tools;

public sealed class SequenceModelTests
{
    private const int Context = 8;

    [Theory]
    [InlineData("llama-tiny", 8)]
    [InlineData("llama-tiny", 3)]
    [InlineData("gpt2-tiny", 8)]
    [InlineData("qwen2-tiny", 5)]
    [InlineData("llama-16", 8)]
    public void Score_Package_EqualsBruteForce(string name, int stride)
    {
        var model = TinyModel.Named(name);
        var text = Text(model.Config, length: 20);
        using var windows = SequenceModel.ForMeasuring(GenerationRun.Export(model), Context, threads: 1);
        var score = new Evaluator(text, Context, stride).Score(windows.Logits);
        Assert.Equal(BruteForce(model, text.Tokens, stride), score.NegativeLogLikelihood, 1e-5);
        Assert.Equal(19, score.Tokens);
    }

    [Fact]
    public void Compare_QuantizedModel_LiesCloseToTheFloatModel()
    {
        var model = TinyModel.Named("llama-16");
        var text = Text(model.Config, length: 65);
        var file = GenerationRun.Export(model);
        using SequenceModel before = SequenceModel.ForMeasuring(file, 16, threads: 1), after = SequenceModel.ForMeasuring(WeightQuantizer.Quantize(file, new()).Model, 16, threads: 1);
        var comparison = new Evaluator(text, 16, 16).Compare(before.Logits, after.Logits);
        Assert.InRange(Math.Abs(comparison.PerplexityLoss), 1e-9, 0.05);
        Assert.InRange(comparison.Divergence, 1e-9, 0.01);
        Assert.InRange(comparison.Agreement, 0.9, 1);
    }

    [Fact]
    public void Quantize_SmallTiedLlama_TakesAtMost30PercentOfTheFile()
    {
        var config = TinyModel.Named("llama-16").Config with { VocabularySize = 1024, Width = 128, FeedForward = 344, MaxPositions = 128, TiedEmbeddings = true };
        var file = GenerationRun.Export(TinyModel.Random(config, seed: 3));
        var quantized = WeightQuantizer.Quantize(file, new());
        Assert.Empty(quantized.Kept);
        Assert.InRange((double)quantized.Model.CalculateSize() / file.CalculateSize(), 0.28, 0.30);
    }

    /// <summary>Each token from the last logits after its own prefix, without windows: what the definition says.</summary>
    private static double BruteForce(TinyModel model, int[] tokens, int stride)
    {
        using var run = new GenerationRun(model, rows: 1);
        double total = 0;
        for (int position = 1; position < tokens.Length; position++)
        {
            int start = 0;
            while (start + Context < position) start += stride;
            long[] prefix = [.. tokens[start..position].Select(t => (long)t)];
            float[] logits = run.Run(0, [prefix], [prefix.Length]);
            total += Math.Log(logits.Sum(l => Math.Exp(l))) - logits[tokens[position]];
        }
        return total / (tokens.Length - 1);
    }

    private static EvaluationText Text(ModelConfig config, int length)
    {
        var random = new Random(4);
        return new([.. Enumerable.Range(0, length).Select(_ => random.Next(config.VocabularySize))], _ => 1);
    }
}
