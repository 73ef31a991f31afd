using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Runs;

/// <summary>The data of a run: batches in the order of its seed, and the fixed set of its validations.</summary>
internal sealed class RunData : IDisposable
{
    private readonly DataSource _source;

    /// <exception cref="TrainingException">See <see cref="DataSource.Open"/>.</exception>
    public RunData(RunConfig config)
    {
        _source = DataSource.Open(config);
        Training = new TokenDataset(_source.Training, new EpochOrder(_source.Training.Count, config.Seed), config.GlobalBatch, config.MicroBatch);
        Validation = new ValidationSet(_source.Validation, config.MicroBatch, config.EvaluateTokens);
        Record = new DataRecord(_source.TrainingTokens, _source.ValidationTokens, _source.Hash, _source.TokenizerHash, Validation.Hash());
    }

    public TokenDataset Training { get; }

    public ValidationSet Validation { get; }

    public DataRecord Record { get; }

    public void Dispose() => _source.Dispose();
}
