using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tests.Serving;

/// <summary>Log probabilities are what they are called, and those that the evaluator finds.</summary>
public sealed class LogprobTests
{
    [Fact]
    public async Task Alternatives_OfTheWholeVocabulary_AreADistribution()
    {
        var vocabulary = TestServer.Tokenizer.VocabularySize;
        await using var server = await TestServer.StartAsync(change: options => options with { Limits = options.Limits with { Alternatives = vocabulary } });
        var answer = await server.ChatAsync(new() { ["max_tokens"] = 5, ["ignore_eos"] = true, ["temperature"] = 0, ["logprobs"] = true, ["top_logprobs"] = vocabulary });
        var tokens = answer["choices"]![0]!["logprobs"]!["content"]!.AsArray();
        Assert.Equal(5, tokens.Count);
        Assert.All(tokens, token =>
        {
            var all = token!["top_logprobs"]!.AsArray().Select(top => (double)top!["logprob"]!).ToArray();
            Assert.Equal(vocabulary, all.Length);
            Assert.Equal(1, all.Sum(Math.Exp), 1e-4);
            Assert.Equal(all[0], (double)token["logprob"]!);
        });
    }

    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Echo_OfAPrompt_HasTheLossesOfTheEvaluator(Weights weights)
    {
        const int Length = 30;
        const double Arithmetic = 2e-5;                 // sums of a few hundred products in another order, each rounded by 6e-8
        using var package = new ServedPackage(weights: weights);
        ImmutableArray<int> ids = [.. Enumerable.Range(0, Length).Select(i => (7 * i + 3) % 280)];
        await using var server = await TestServer.StartAsync(more: [new ModelSource("real", () => ModelLoader.Load(new() { Model = package.Folder, Name = "real", Threads = 1 }), () => "")]);
        var answer = await server.CompleteAsync(new() { ["model"] = "real", ["prompt"] = new JsonArray([.. ids.Select(id => JsonValue.Create(id))]), ["echo"] = true, ["logprobs"] = 1, ["max_tokens"] = 0 });
        var told = answer["choices"]![0]!["logprobs"]!["token_logprobs"]!.AsArray().Skip(1).Select(value => (double)value!).ToArray();

        using var model = SequenceModel.ForMeasuring(OnnxFile.Read(Path.Combine(package.Folder, "model.onnx")), Length, threads: 1);
        var logits = model.Logits(ids.AsSpan());
        var vocabulary = logits.Length / Length;
        Assert.Equal(Length - 1, told.Length);
        for (var i = 0; i < told.Length; i++) Assert.Equal(-new LogitRow(logits.Slice(i * vocabulary, vocabulary)).Loss(ids[i + 1]), told[i], Arithmetic);
        var score = new Evaluator(new EvaluationText([.. ids], _ => 1), Length, Length).Score(model.Logits);
        Assert.Equal(-told.Average(), score.NegativeLogLikelihood, Arithmetic);
    }
}
