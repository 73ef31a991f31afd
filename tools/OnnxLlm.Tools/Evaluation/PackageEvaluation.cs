using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Text;

namespace OnnxLlm.Tools.Evaluation;

/// <summary>What <c>evaluate</c> is asked to do. Null: the model's longest sequence, and windows that do not overlap.</summary>
internal sealed record EvaluationJob(string Model, string Data, int Tokens, int? Context, int? Stride, int Threads);

/// <summary>Scores a model package, and the unigram model of its data, on held-out text.</summary>
internal sealed record PackageEvaluation(PerplexityScore Model, PerplexityScore Unigram, int Context, int Stride)
{
    public static PackageEvaluation Run(EvaluationJob job)
    {
        PackageFolder.RequireDecoder(job.Model, "evaluate");
        int longest = ModelConfig.Load(Path.Combine(job.Model, PackageManifest.ConfigFile)).MaxPositions, context = job.Context ?? longest;
        if (context < 1 || context > longest) throw new ToolException($"Windows must hold from 1 to the model's {longest} tokens, not {context}.");
        var data = EvaluationData.Load(job.Data, Tokenizer.Load(job.Model), job.Tokens);
        var evaluator = new Evaluator(data.Text, context, job.Stride ?? context);
        using var model = SequenceModel.ForMeasuring(OnnxFile.Read(Path.Combine(job.Model, PackageManifest.ModelFile)), context, job.Threads);
        return new(evaluator.Score(model.Logits), evaluator.Score(data.Unigram), context, job.Stride ?? context);
    }
}
