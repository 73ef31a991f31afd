using System.Collections.Immutable;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>The data of a run, opened and checked against its config.</summary>
internal sealed record RunData : IDisposable
{
    /// <summary>The run's, with what only the data can tell.</summary>
    public required RunConfig Config { get; init; }

    public required TokenDataset Training { get; init; }

    /// <summary>Null where there is nothing to validate on.</summary>
    public required ValidationSet? Validation { get; init; }

    public required DataRecord Record { get; init; }

    /// <summary>What is told of the data when a run begins.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];

    /// <summary>What ends with the run.</summary>
    public ImmutableArray<IDisposable> Owned { get; init; } = [];

    /// <exception cref="TrainingException">The data is missing, too short, or not for the model.</exception>
    public static RunData Open(RunConfig config) => config.Objective switch
    {
        Objective.Classification => LabelledData.Open(config),
        Objective.Seq2Seq => PairData.Open(config),
        _ => ShardData.Open(config),
    };

    /// <summary>Batches in the order of the run's seed.</summary>
    public static TokenDataset Batches(RunConfig config, ISequences sequences) => new(sequences, new EpochOrder(sequences.Count, config.Seed), config.GlobalBatch, config.MicroBatch);

    public void Dispose()
    {
        foreach (var owned in Owned) owned.Dispose();
    }
}
