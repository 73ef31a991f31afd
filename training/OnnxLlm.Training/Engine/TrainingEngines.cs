using OnnxLlm.Graphs.Artifacts;
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
    /// <summary>Fails where the config's engine cannot do what the config asks, or is not in this build; before anything is written.</summary>
    /// <exception cref="OnnxLlm.Graphs.GraphException">The engine lacks the optimizer.</exception>
    /// <exception cref="ModelRuntimeException">The native library lacks the engine; the message says where to get it.</exception>
    public static void Require(RunConfig config)
    {
        config.Place.Require();
        if (config.Place.IsCuda && config.OptimizerOffload != OptimizerOffload.None) throw new TrainingException("optimizer_offload is for the cpu; on a GPU the state stays on the device.");
        if (config.Place.IsCuda && config.Optimizer.Moments != Moments.Fp32)
            throw new TrainingException("optimizer.moments: int8 is for the cpu; on a GPU an update is made of operators over all moments at once, which would take more memory than is saved.");
        if (config.Place.IsCuda && !config.Model.IsDecoder) throw new TrainingException($"device: {config.Model.ModelType} models train on the cpu; their graphs were not written for a GPU.");
        if (config.Engine != EngineKind.OrtTraining) return;
        if (!config.Model.IsDecoder) throw new TrainingException($"engine: ort-training trains decoders here; for a {config.Model.ModelType} model use engine onnx.");
        if (config.Place.IsCuda) throw new TrainingException("device: engine ort-training runs on the cpu here; for a GPU use engine onnx.");
        if (config.Precision != Precision.Fp32 || config.ActivationCheckpointing != ActivationCheckpointing.None)
            throw new TrainingException("precision and activation_checkpointing are for engine onnx; ort-training computes in float32 and keeps everything.");
        if (config.OptimizerOffload != OptimizerOffload.None) throw new TrainingException("optimizer_offload is for engine onnx; ort-training keeps its state in memory.");
        TrainingFolder.RequireOrtTraining(config.Optimizer.Settings);
        TrainingApi.Require();
    }

    /// <summary>Fails where the weights that a new run is to begin with are not those of its model.</summary>
    public static void RequireWeights(RunConfig config)
    {
        if (config.InitialWeights is not { } folder) return;
        using var weights = StartingWeights.Open(folder);
        weights.Require(config.Setup.Parameters());
    }

    /// <summary>Tells which parameters a new run begins fresh beside those of a trained model; null where there are none.</summary>
    public static string? FreshNote(RunConfig config)
    {
        if (config.InitialWeights is not { } folder) return null;
        using var weights = StartingWeights.Open(folder);
        string[] fresh = [.. weights.Missing(config.Setup.Parameters()).Select(p => p.Name)];
        return fresh.Length == 0 ? null : $"initial_weights: '{folder}' has no {string.Join(", ", fresh)}: they begin fresh";
    }

    /// <summary>Writes the graphs that the engine runs, in the form that it runs them in.</summary>
    public static void WriteArtifacts(string folder, RunConfig config, TrainingGraphs graphs)
    {
        if (config.Engine != EngineKind.OrtTraining)
        {
            TrainingFolder.Write(folder, config.Setup, graphs);
            return;
        }
        using var weights = config.InitialWeights is { } from ? StartingWeights.Open(from) : null;
        TrainingFolder.WriteOrtTraining(folder, config.Setup, weights?.Source(config.Setup.Parameters()) ?? Fresh(config).Source());
    }

    /// <summary>The config's engine with the weights to begin with, fresh or of another training, or with what a checkpoint holds.</summary>
    /// <param name="artifacts">See <see cref="WriteArtifacts"/>.</param>
    /// <param name="checkpoint">A folder that the engine saved to.</param>
    /// <param name="offload">Working file of an optimizer state that is kept out of memory.</param>
    public static ITrainingEngine Open(RunConfig config, TrainingGraphs graphs, string artifacts, string? checkpoint, string offload)
    {
        // The sessions run in turn: workers that went on spinning after an update would take the first layers' processors.
        var settings = new SessionSettings { Device = config.Place, Capture = true, Threads = config.Threads, Kernels = config.Kernels, SpinningBetweenRuns = false, MemoryLimit = config.MemoryLimitMb * 1_000_000L };
        if (config.Engine == EngineKind.OrtTraining)
            return new OrtTrainingEngine(from => OrtTrainingSession.Open(OrtTrainingEngine.Files(artifacts, from), settings), checkpoint ?? artifacts, config.Setup);

        var engine = new OnnxTrainingEngine(graphs, config.Setup.Shape, settings, AuxiliaryGraphs.Of(config), Offload.Of(config, offload))
        {
            Scaler = graphs.HasLossScale ? new LossScaler(config.LossScale) : null,
            Graphs = config.GraphsFor,
        };
        if (checkpoint is not null) engine.Load(checkpoint);
        else if (config.InitialWeights is { } from)
        {
            using var weights = StartingWeights.Open(from);
            var fresh = Fresh(config);
            engine.Tensors.Fill((parameter, values) => weights.Fill(parameter, values, fresh));
        }
        else engine.Tensors.Initialize(Fresh(config));
        return engine;
    }

    private static Initializer Fresh(RunConfig config) => new(config.Model, config.Seed);
}
