using System.Text;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Text;

namespace OnnxLlm.Tools.Evaluation.Choices;

/// <summary>A share of right answers, and its standard error, taking the questions as independent.</summary>
internal sealed record Accuracy(double Share, double StandardError);

/// <summary>How often the choice that a model finds likeliest is the right one.</summary>
/// <param name="Questions">Their number.</param>
/// <param name="Likeliest">The choice with the highest ln p is the answer.</param>
/// <param name="LikeliestByByte">The choice with the highest ln p per byte of its text is, so that short choices have no advantage.</param>
/// <param name="Chance">What guessing would get.</param>
/// <param name="Shortened">Choices whose context was too long for the model, so that its beginning was left out.</param>
internal sealed record ChoiceScore(int Questions, Accuracy Likeliest, Accuracy LikeliestByByte, double Chance, int Shortened)
{
    /// <summary>Asks a model package the questions of a file.</summary>
    /// <param name="folder">The package.</param>
    /// <param name="task">See <see cref="ChoiceQuestion.Read"/>.</param>
    /// <param name="threads">Threads of the runtime; 0 = all cores.</param>
    public static ChoiceScore Run(string folder, string task, int threads)
    {
        PackageFolder.RequireDecoder(folder, "evaluate");
        ChoiceQuestion[] questions = ChoiceQuestion.Read(task);
        int longest = ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile)).MaxPositions;
        using var model = SequenceModel.ForMeasuring(OnnxFile.Read(Path.Combine(folder, PackageManifest.ModelFile)), longest, threads);
        return Of(questions, Tokenizer.Load(folder), longest, model.Logits);
    }

    /// <param name="questions">At least one.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="longest">Tokens that the model reads at most.</param>
    /// <param name="model">The model.</param>
    public static ChoiceScore Of(IReadOnlyList<ChoiceQuestion> questions, Tokenizer tokenizer, int longest, WindowLogits model)
    {
        RunningMean likeliest = new(), byByte = new(), chance = new();
        int shortened = 0;
        foreach (ChoiceQuestion question in questions)
        {
            double[] scores = [.. question.Choices.Select(choice => Score(question.Context, choice))];
            likeliest.Add(Best(scores) == question.Answer ? 1 : 0);
            byByte.Add(Best([.. scores.Zip(question.Choices, (score, choice) => score / Encoding.UTF8.GetByteCount(choice))]) == question.Answer ? 1 : 0);
            chance.Add(1.0 / question.Choices.Length);
        }
        return new(questions.Count, new(likeliest.Mean, likeliest.StandardError), new(byByte.Mean, byByte.StandardError), chance.Mean, shortened);

        double Score(string context, string choice)
        {
            Continuation whole = Continuation.Of(tokenizer, context, choice), cut = whole.Cut(longest);
            if (cut.Tokens.Length < whole.Tokens.Length) shortened++;
            return cut.LogLikelihood(model);
        }
    }

    /// <summary>The first of the highest.</summary>
    private static int Best(double[] scores) => Array.IndexOf(scores, scores.Max());
}
