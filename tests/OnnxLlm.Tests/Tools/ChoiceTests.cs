using System.Text.Json;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tests.Text;
using OnnxLlm.Text;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Evaluation.Choices;

namespace OnnxLlm.Tests.Tools;

/// <summary>Multiple choice by log-likelihood: by hand with a model of known probabilities, and with a package.</summary>
public sealed class ChoiceTests
{
    private static readonly Tokenizer Letters = BpeTrainer.Train(["zz"], new() { VocabularySize = 257, SpecialTokens = ["<|endoftext|>"] });

    /// <summary>Whatever came before: a has probability 1/2, b 1/4, c 1/8; all others share the rest.</summary>
    private static readonly WindowLogits Known = tokens =>
    {
        int vocabulary = Letters.VocabularySize;
        float[] rows = new float[tokens.Length * vocabulary];
        for (int row = 0; row < tokens.Length; row++)
            for (int id = 0; id < vocabulary; id++)
                rows[row * vocabulary + id] = MathF.Log(id == Id("a") ? 1 / 2f : id == Id("b") ? 1 / 4f : id == Id("c") ? 1 / 8f : 1 / 8f / (vocabulary - 3));
        return rows;
    };

    [Fact]
    public void LogLikelihood_OfAChoice_IsThatOfItsTokens()
    {
        Assert.Equal(Math.Log(1 / 4.0 / 8), Continuation.Of(Letters, "a", "bc").LogLikelihood(Known), 1e-6);
        Assert.Equal(Math.Log(1 / 2.0), Continuation.Of(Letters, "", "a").LogLikelihood(Known), 1e-6);
        Assert.Equal(2, Continuation.Of(Letters, "a ", "b").Scored);        // the blank belongs to the choice
    }

    [Fact]
    public void Accuracy_OfFiveQuestions_EqualsAHandCount()
    {
        ChoiceQuestion[] questions =
        [
            new("x", ["b", "a"], 1),            // 1/4, 1/2: right both ways
            new("x", ["aa", "c"], 1),           // 1/4, 1/8: wrong; by byte 1/2, 1/8: wrong
            new("x", ["b", "aaa"], 1),          // 1/4, 1/8: wrong; by byte 1/4, 1/2: right
            new("x", ["b", "aaa"], 0),          // right; by byte wrong
            new("", ["a", "b", "c", "d"], 0),   // right both ways
        ];
        var score = ChoiceScore.Of(questions, Letters, longest: 16, Known);

        Assert.Equal((5, 0.6, 0.6), (score.Questions, score.Likeliest.Share, score.LikeliestByByte.Share));
        Assert.Equal(Math.Sqrt(0.6 * 0.4 / 4), score.Likeliest.StandardError, 1e-12);
        Assert.Equal((4 * 0.5 + 0.25) / 5, score.Chance, 1e-12);
    }

    [Fact]
    public void ContextThatIsTooLong_LosesItsBeginning()
    {
        int read = 0;
        WindowLogits model = tokens =>
        {
            read = Math.Max(read, tokens.Length);
            return Known(tokens);
        };
        var score = ChoiceScore.Of([new(new string('a', 40), ["bb", "cc"], 0), new("a", ["b", "c"], 0)], Letters, longest: 8, model);

        Assert.Equal((8, 2, 1), (read, score.Shortened, score.Likeliest.Share));
        Assert.Throws<ToolException>(() => ChoiceScore.Of([new("a", [new string('b', 9), "c"], 0)], Letters, longest: 8, Known));
    }

    [Theory]
    [InlineData("{", "is not {\"context\"")]
    [InlineData("""{"context": "a", "choices": ["b", "c"]}""", "is not {\"context\"")]
    [InlineData("""{"context": null, "choices": ["b", "c"], "answer": 0}""", "is not {\"context\"")]
    [InlineData("""{"context": "a", "choices": ["b"], "answer": 0}""", "has 1 choices; a question needs two.")]
    [InlineData("""{"context": "a", "choices": ["b", ""], "answer": 0}""", "has an empty choice.")]
    [InlineData("""{"context": "a", "choices": ["b", "c"], "answer": 2}""", "the answer must be one of the choices 0 to 1, not 2.")]
    public void BrokenLine_IsNamed(string line, string problem)
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("task.jsonl", $$"""{"context": "a", "choices": ["b", "c"], "answer": 0, "id": "kept"}{{"\n\n"}}{{line}}""");
        Assert.StartsWith($"{file}:3: {problem}", Assert.Throws<ToolException>(() => ChoiceQuestion.Read(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Evaluate_Task_AnswersAsTheModelDoesTokenByToken()
    {
        using var shop = new Workshop();
        shop.Export();
        string[] choices = [" the people", " States", " Congress of the people", " and"];
        string[] contexts = ["the United", "the people of", "the Congress", "and the", "of the"];
        using var model = SequenceModel.ForAnswering(OnnxFile.Read(shop.At("models/tiny/model.onnx")), Workshop.Context, threads: 1);
        var likeliest = contexts.Select(context => Enumerable.Range(0, choices.Length).MaxBy(i => LogLikelihood(context, choices[i]))).ToArray();
        // The first three are asked with the answer that the model will give, the others with another one.
        File.WriteAllLines(shop.At("task.jsonl"), contexts.Select((context, i) =>
            JsonSerializer.Serialize(new { context, choices, answer = i < 3 ? likeliest[i] : (likeliest[i] + 1) % choices.Length })));

        var (code, output, error) = shop.Run("evaluate", "--model", "@models/tiny", "--task", "@task.jsonl");

        Assert.Equal((0, ""), (code, error));
        Assert.Contains("on 5 questions of ", output, StringComparison.Ordinal);
        Assert.Contains("likeliest choice     0.6000 ± 0.2449 right", output, StringComparison.Ordinal);
        Assert.Contains("guessing             0.2500", output, StringComparison.Ordinal);

        double LogLikelihood(string context, string choice)
        {
            int[] before = shop.Tokenizer.Encode(context), all = shop.Tokenizer.Encode(context + choice);
            double sum = 0;
            for (int i = 0; i < all.Length - 1; i++)
            {
                double loss = new LogitRow(model.Append(all.AsSpan(i, 1), past: i)).Loss(all[i + 1]);
                if (i + 1 >= before.Length) sum -= loss;
            }
            return sum;
        }
    }

    [Theory]
    [InlineData]
    [InlineData("--data", "@data/shards", "--task", "@task.jsonl")]
    public void Evaluate_WithoutOneThingToEvaluateOn_SaysSo(params string[] arguments)
    {
        using var shop = new Workshop();
        Assert.Equal((2, "", "error: either --data or --task says what to evaluate on; add --help to see what there is\n"), shop.Run(["evaluate", "--model", "@models/tiny", .. arguments]));
    }

    private static int Id(string letter) => Letters.Encode(letter).Single();
}
