using System.Collections.Immutable;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Training.Configuration;

/// <summary>Everything that defines a training run, as written in its JSON file (snake_case names, no unknown keys).</summary>
public sealed record RunConfig
{
    /// <summary>The architecture, with the names of Hugging Face's <c>config.json</c>.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>Folder of token shards, as written by <c>tools corpus</c>; for the objectives classification and seq2seq of <c>train.jsonl</c> and, where there is one, <c>valid.jsonl</c>.</summary>
    public required string Data { get; init; }

    /// <summary>Tokens per sequence; the model's context where absent.</summary>
    public int? SequenceLength { get; init; }

    /// <summary>Sequences per optimizer step.</summary>
    public required int GlobalBatch { get; init; }

    /// <summary>Sequences per run of the step graph; <see cref="GlobalBatch"/> is a multiple of it.</summary>
    public required int MicroBatch { get; init; }

    public Objective Objective { get; init; }

    public MaskingConfig Masking { get; init; } = new();

    public ClassificationConfig Classification { get; init; } = new();

    public PairsConfig Pairs { get; init; } = new();

    public SpansConfig Spans { get; init; } = new();

    /// <summary>What runs the graphs; the trainer does not know.</summary>
    public EngineKind Engine { get; init; } = EngineKind.Onnx;

    /// <summary>What computes: cpu, cuda, or cuda:N for the GPU of that number.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>What the backward pass computes again instead of keeping: nothing, what is cheap, or each block from its input.</summary>
    public ActivationCheckpointing ActivationCheckpointing { get; init; }

    /// <summary>What matrix products compute in; weights, sums and everything delicate stay float32.</summary>
    public Precision Precision { get; init; }

    public LossScaleConfig LossScale { get; init; } = new();

    /// <summary>Where the optimizer's state is between updates.</summary>
    public OptimizerOffload OptimizerOffload { get; init; }

    /// <summary>Folder of a trained model whose weights the run begins with: a checkpoint, a model package, or one of Hugging Face's. Fresh ones where absent.</summary>
    public string? InitialWeights { get; init; }

    /// <summary>Patterns of parameter names (* is any text) that are not trained.</summary>
    public ImmutableArray<string> Frozen { get; init; } = [];

    /// <summary>Training on shorter sequences first; see <see cref="StageConfig"/>.</summary>
    public ImmutableArray<StageConfig> Stages { get; init; } = [];

    public OptimizerConfig Optimizer { get; init; } = new();

    public ScheduleConfig Schedule { get; init; } = new();

    public StabilityConfig Stability { get; init; } = new();

    public TrackingConfig Tracking { get; init; } = new();

    public SamplesConfig Samples { get; init; } = new();

    /// <summary>Budget in optimizer steps. Exactly one of <c>steps</c>, <c>epochs</c> and <c>minutes</c> is set.</summary>
    public int? Steps { get; init; }

    /// <summary>Budget in passes over the training data.</summary>
    public int? Epochs { get; init; }

    /// <summary>Budget in minutes of wall clock; the number of steps is decided after a short calibration.</summary>
    public double? Minutes { get; init; }

    /// <summary>Steps between validations; 0 validates only at the end.</summary>
    public int EvaluateEvery { get; init; } = 100;

    /// <summary>Size of the fixed validation set, in tokens that the model reads; of texts with labels all are measured.</summary>
    public int EvaluateTokens { get; init; } = 65536;

    /// <summary>Steps between checkpoints; 0 writes only the last one.</summary>
    public int CheckpointEvery { get; init; } = 100;

    /// <summary>Recent checkpoints kept, besides the best one.</summary>
    public int Keep { get; init; } = 2;

    /// <summary>Steps between lines of <c>metrics.jsonl</c>.</summary>
    public int LogEvery { get; init; } = 10;

    /// <summary>Seed of the initial weights and of the order of the data.</summary>
    public long Seed { get; init; } = 1234;

    /// <summary>Threads of the runtime; 0 uses every core.</summary>
    public int Threads { get; init; }

    /// <summary>The most that activations may take, in MB; 0 is no limit. What does not fit is run in smaller micro-batches.</summary>
    public int MemoryLimitMb { get; init; }

    /// <summary>Whether fused operators run as our kernels instead of their portable bodies.</summary>
    public bool Kernels { get; init; } = true;

    /// <summary>Skipped steps in a row (loss or gradient not finite) after which the run stops.</summary>
    public int MaxSkippedSteps { get; init; } = 5;

    /// <summary>What the graphs are made of.</summary>
    internal TrainingSetup Setup => new() { Model = Model, Shape = new(MicroBatch, Time), Optimizer = Optimizer.Settings, Frozen = Frozen, Step = Step };

    /// <summary>T, tokens read per sequence.</summary>
    internal int Time => SequenceLength ?? Model.MaxPositions;

    /// <summary>The length of the sequences that step <paramref name="step"/> trains on, counted from 0.</summary>
    internal int TimeAt(long step)
    {
        foreach (var stage in Stages)
            if ((step -= stage.Steps) < 0) return stage.SequenceLength;
        return Time;
    }

    /// <summary>How a micro-batch is run where its sequences are cut to <paramref name="time"/> tokens: as more of them.</summary>
    internal TrainingShape Shape(int time) => new(MicroBatch * Time / time, time);

    internal TrainingGraphs GraphsFor(TrainingShape shape) => TrainingGraphs.Create(Setup with { Shape = shape });

    /// <summary>
    /// How the step graph computes. On the CPU the runtime has no bfloat16 products, and float16 ones that take several times as long as float32, so
    /// products round instead.
    /// </summary>
    internal StepSettings Step => new()
    {
        Checkpointing = ActivationCheckpointing,
        Precision = Precision,
        Rounded = !Place.IsCuda,
        Target = Place.IsCuda ? GraphTarget.Cuda : GraphTarget.Kernels,
    };

    internal Device Place => Runtime.Devices.Device.Parse(Device);
}
