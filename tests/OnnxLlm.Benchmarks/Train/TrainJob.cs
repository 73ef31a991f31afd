using System.Text.Json;
using System.Text.Json.Serialization;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>What both sides are to do: sizes, optimizer and threads. job.json in the job folder; the Python side reads the same file.</summary>
internal sealed record TrainJob
{
    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public required int Layers { get; init; }
    public required int Width { get; init; }
    public required int Heads { get; init; }
    public required int Time { get; init; }
    public required int Vocabulary { get; init; }
    public required int Batch { get; init; }
    public required int Threads { get; init; }
    public float LearningRate { get; init; } = 1e-4f;
    public float Beta1 { get; init; } = 0.9f;
    public float Beta2 { get; init; } = 0.999f;
    public float Epsilon { get; init; } = 1e-8f;
    public float WeightDecay { get; init; } = 0.01f;
    public float ClipNorm { get; init; } = 1;

    /// <summary>How our side keeps the moments.</summary>
    [JsonIgnore]
    public Moments Moments { get; init; }

    [JsonIgnore]
    public ModelConfig Model => new()
    {
        Family = ModelFamily.Gpt2,
        VocabularySize = Vocabulary,
        Width = Width,
        Layers = Layers,
        Heads = Heads,
        KeyValueHeads = Heads,
        FeedForward = 4 * Width,
        MaxPositions = Time,
        TiedEmbeddings = true,
    };

    [JsonIgnore]
    public TrainingSetup Setup => new()
    {
        Model = Model,
        Shape = new TrainingShape(Batch, Time),
        Optimizer = new OptimizerSettings { Beta1 = Beta1, Beta2 = Beta2, Epsilon = Epsilon, WeightDecay = WeightDecay, ClipNorm = ClipNorm, Moments = Moments },
    };

    public TrainingGraphs Graphs() => TrainingGraphs.Create(Setup);

    public static TrainJob Of(TrainSize size, int threads) => new()
    {
        Layers = size.Layers,
        Width = size.Width,
        Heads = size.Heads,
        Time = size.Time,
        Vocabulary = size.Vocabulary,
        Batch = size.Batch,
        Threads = threads,
    };

    public static TrainJob Read(string folder) =>
        JsonSerializer.Deserialize<TrainJob>(File.ReadAllText(Path.Combine(folder, "job.json")), Format)!;

    public void Write(string folder) => File.WriteAllText(Path.Combine(folder, "job.json"), JsonSerializer.Serialize(this, Format));
}
