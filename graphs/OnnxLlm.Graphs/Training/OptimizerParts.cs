using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// The optimizer graph cut into pieces that run one after the other, so that only the states of a few parameters are needed at a time: <paramref name="Norm"/>
/// reads all gradients and gives <c>gradient_norm</c>, which every graph of <paramref name="Updates"/> takes as an input. The arithmetic is that of the whole
/// graph, so the results have the same bits.
/// </summary>
public sealed record OptimizerParts(Graph Norm, ImmutableArray<Graph> Updates)
{
    /// <summary>All of them, in the order in which they run.</summary>
    public IEnumerable<Graph> Graphs => Updates.Prepend(Norm);

    /// <summary>Consecutive parameters whose states take at most <paramref name="stateBytes"/> together, or a single larger one, make a piece.</summary>
    public static OptimizerParts Of(TrainingSetup setup, long stateBytes)
    {
        var (trainable, settings, hasLossScale) = (setup.Trainable(), setup.Optimizer, setup.Step.HasLossScale);
        var factors = LearningRates.Factors(trainable, settings.LayerDecay);
        var parts = new OptimizerParts(
            OptimizerGraph.NormOf(trainable, hasLossScale),
            [.. Pieces(trainable, p => OptimizerGraph.StateBytes(p, settings), stateBytes).Select(piece => OptimizerGraph.UpdateOf(piece, settings, factors, hasLossScale))]);
        foreach (var graph in parts.Updates) InPlace.Require(graph, OptimizerGraph.InPlace(graph));
        return parts;
    }

    /// <summary>Inputs and outputs of one of the graphs that are bound to one buffer each.</summary>
    public static IEnumerable<(string Input, string Output)> InPlaceOf(Graph graph) => OptimizerGraph.InPlace(graph);

    internal static IEnumerable<ImmutableArray<ParameterInfo>> Pieces(ImmutableArray<ParameterInfo> parameters, Func<ParameterInfo, long> bytes, long most)
    {
        var piece = ImmutableArray.CreateBuilder<ParameterInfo>();
        long sum = 0;
        foreach (var p in parameters)
        {
            if (piece.Count > 0 && sum + bytes(p) > most)
            {
                yield return piece.ToImmutable();
                piece.Clear();
                sum = 0;
            }
            piece.Add(p);
            sum += bytes(p);
        }
        yield return piece.ToImmutable();
    }
}
