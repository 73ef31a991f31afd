using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>What is trained and how: all that training graphs depend on.</summary>
public sealed record TrainingSetup
{
    public required ModelConfig Model { get; init; }

    public required TrainingShape Shape { get; init; }

    public required OptimizerSettings Optimizer { get; init; }

    /// <summary>Patterns of the parameters that are not trained, see <see cref="FrozenParameters"/>.</summary>
    public IReadOnlyCollection<string> Frozen { get; init; } = [];

    public StepSettings Step { get; init; } = new();

    /// <summary>Every parameter, in the order of the graphs' inputs, the frozen ones marked.</summary>
    /// <exception cref="GraphException">The parts do not fit together.</exception>
    public ImmutableArray<ParameterInfo> Parameters()
    {
        Check();
        return FrozenParameters.Freeze(ModelParameters.Of(Model), Frozen);
    }

    /// <summary>Those that have gradients.</summary>
    public ImmutableArray<ParameterInfo> Trainable() => [.. Parameters().Where(p => p.Trainable)];

    private void Check()
    {
        var (batch, time) = (Shape.Batch, Shape.Time);
        if (batch < 1 || time < 1) throw new GraphException($"A training step needs at least one token, got {batch} sequences of {time}.");
        if (time > Model.Validated().MaxPositions) throw new GraphException($"Sequences of {time} tokens are longer than the model's {Model.MaxPositions} positions.");
    }
}
