using System.Text;
using System.Text.Json;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.OrtTraining;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Graphs.Artifacts;

/// <summary>Writes training graphs as files. The same setup gives the same bytes.</summary>
public static class TrainingFolder
{
    public const string StepModel = "training_model.onnx", EvaluationModel = "eval_model.onnx", OptimizerModel = "optimizer_model.onnx", Checkpoint = "checkpoint";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n" };

    /// <summary>The three graphs that stock ONNX Runtime runs.</summary>
    public static TrainingManifest Write(string folder, TrainingSetup setup, TrainingGraphs graphs) => Manifest("onnx", setup, [.. graphs.Parameters]).Write(folder, partial =>
    {
        foreach (var (name, graph) in new[] { (StepModel, graphs.Step), (EvaluationModel, graphs.Evaluation), (OptimizerModel, graphs.Optimizer) })
            OnnxFile.Write(graph, Path.Combine(partial, name));
        WriteConfig(partial, setup.Model);
    });

    /// <summary>
    /// The three models and the checkpoint that <c>TrainingSession</c> of ORT Training 1.19 opens.
    /// Inputs of a step, in order: <c>input_ids</c>, <c>labels</c>, <c>loss_scale</c>; outputs: <c>loss</c>, <c>gradient_norm</c>.
    /// Evaluation: <c>input_ids</c>, <c>labels</c> → <c>token_losses</c>; for inference it is exported with the output <c>logits</c>.
    /// </summary>
    /// <param name="weights">The parameters to begin with.</param>
    /// <param name="learningRates">Rates of the steps 1, 2, …, to be built in, the last one for all later steps; none: the program sets the rate.</param>
    public static TrainingManifest WriteOrtTraining(string folder, TrainingSetup setup, WeightSource weights, params ReadOnlySpan<float> learningRates)
    {
        if (!setup.Model.IsDecoder) throw new GraphException($"Graphs for ORT Training are of decoders; a {setup.Model.ModelType} model is trained by the engine onnx.");
        RequireOrtTraining(setup.Optimizer);
        var (parameters, trainable) = (setup.Parameters(), setup.Trainable());
        var optimizer = OrtOptimizer.Create(setup.Optimizer, [.. learningRates]);
        return Manifest("ort-training", setup, parameters).Write(folder, partial =>
        {
            OnnxFile.Write(OrtTrainingGraphs.Step(setup, trainable), Path.Combine(partial, StepModel));
            OnnxFile.Write(OrtTrainingGraphs.Evaluation(setup.Model, setup.Shape), Path.Combine(partial, EvaluationModel));
            OnnxFile.Write(optimizer, Path.Combine(partial, OptimizerModel));
            OrtCheckpoint.Write(Path.Combine(partial, Checkpoint), parameters, weights);
            WriteConfig(partial, setup.Model);
        });
    }

    /// <summary>Refuses an optimizer that ORT Training does not have.</summary>
    /// <exception cref="GraphException"/>
    public static void RequireOrtTraining(OptimizerSettings settings) => OrtOptimizer.Require(settings);

    private static TrainingManifest Manifest(string target, TrainingSetup setup, IReadOnlyCollection<ParameterInfo> parameters) => new()
    {
        Target = target,
        ModelType = setup.Model.ModelType,
        ParameterCount = parameters.Sum(p => p.Count),
        TrainableCount = parameters.Where(p => p.Trainable).Sum(p => p.Count),
        MicroBatch = setup.Shape.Batch,
        SequenceLength = setup.Shape.Time,
    };

    private static void WriteConfig(string folder, ModelConfig model) => File.WriteAllText(
        Path.Combine(folder, PackageManifest.ConfigFile), model.ToJson().ToJsonString(Indented) + "\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
}
