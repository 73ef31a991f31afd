using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.OrtTraining;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Engine;

/// <summary>The one place that knows which engines there are.</summary>
internal static class TrainingEngines
{
    /// <summary>Fails where this build cannot run the config's engine; before anything is written.</summary>
    /// <exception cref="ModelRuntimeException">The native library lacks what the engine needs; the message says where to get it.</exception>
    public static void Require(RunConfig config)
    {
        if (config.Engine != EngineKind.OrtTraining) return;
        if (config.Precision != Precision.Fp32 || config.ActivationCheckpointing != ActivationCheckpointing.None)
            throw new TrainingException("precision and activation_checkpointing are for engine onnx; ort-training computes in float32 and keeps everything.");
        TrainingApi.Require();
    }

    /// <summary>The config's engine, with fresh weights, or with what a checkpoint holds.</summary>
    public static ITrainingEngine Open(RunConfig config, TrainingGraphs graphs, string? checkpoint)
    {
        Require(config);
        var settings = new SessionSettings { Threads = config.Threads, Kernels = config.Kernels };
        var shape = new TrainingShape(config.MicroBatch, config.Time);
        var activations = config.Stability.StatisticsEvery > 0 ? ActivationGraph.Create(config.Model, shape) : null;
        var engine = new OnnxTrainingEngine(graphs, shape, settings, activations) { Scaler = graphs.HasLossScale ? new LossScaler(config.LossScale) : null };
        if (checkpoint is null) engine.Tensors.Initialize(new Initializer(config.Model, config.Seed));
        else engine.Load(checkpoint);
        return engine;
    }
}
