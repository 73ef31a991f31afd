using System.Collections.Immutable;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// The optimizer graph cut into pieces that run one after the other, so that only the states of a few parameters are needed at a time: <paramref name="Norm"/>
/// reads all gradients and gives <c>gradient_norm</c>, which every graph of <paramref name="Updates"/> takes as an input. The arithmetic is that of the whole
/// graph, so the results have the same bits.
/// </summary>
/// <param name="Divided">Large parameters, of which an update takes some rows: the blocks of rows are the members, whose tensors lie in those of the whole.</param>
public sealed record OptimizerParts(Graph Norm, ImmutableArray<Graph> Updates, ImmutableArray<FlatGroup> Divided)
{
    private const int MostPieces = 32;

    /// <summary>All of them, in the order in which they run.</summary>
    public IEnumerable<Graph> Graphs => Updates.Prepend(Norm);

    /// <summary>About 32 pieces, each with 4 to 32 MB of state: each is a session of the runtime, which takes 1 MB for itself.</summary>
    public static OptimizerParts Of(TrainingSetup setup) =>
        Of(setup, Math.Clamp(setup.Trainable().Sum(p => OptimizerGraph.StateBytes(p, setup.Optimizer)) / MostPieces, 4 << 20, 32 << 20));

    /// <summary>
    /// Consecutive parameters whose states take at most <paramref name="stateBytes"/> together make a piece; a larger matrix is divided into blocks of rows. What is updated as a whole makes a piece, and so does
    /// a row or a vector.
    /// </summary>
    public static OptimizerParts Of(TrainingSetup setup, long stateBytes)
    {
        var (trainable, settings, hasLossScale) = (setup.Trainable(), setup.Optimizer, setup.Step.HasLossScale);
        var factors = LearningRates.Factors(trainable, settings.LayerDecay);
        ImmutableArray<FlatGroup> divided = [.. trainable.Where(p => !settings.UpdatesWhole(p)).Select(p => Rows(p, settings, stateBytes)).Where(group => group.Members.Length > 1)];
        foreach (var group in divided) factors = factors.AddRange(group.Members.Select(m => KeyValuePair.Create(m.Parameter, factors[group.Whole])));
        var blocks = trainable.SelectMany(p => divided.FirstOrDefault(group => group.Whole == p)?.Members.Select(m => m.Parameter) ?? [p]).ToImmutableArray();
        var parts = new OptimizerParts(
            OptimizerGraph.NormOf(trainable, hasLossScale),
            [.. Pieces(blocks, p => OptimizerGraph.StateBytes(p, settings), stateBytes).Select(piece => OptimizerGraph.UpdateOf(piece, settings, factors, hasLossScale))],
            divided);
        foreach (var graph in parts.Updates) InPlace.Require(graph, OptimizerGraph.InPlace(graph));
        return parts;
    }

    /// <summary>Inputs and outputs of one of the graphs that are bound to one buffer each.</summary>
    public static IEnumerable<(string Input, string Output)> InPlaceOf(Graph graph) => OptimizerGraph.InPlace(graph);

    /// <summary>A matrix as blocks of rows, of which each has about as many; anything else as one.</summary>
    private static FlatGroup Rows(ParameterInfo p, OptimizerSettings settings, long most)
    {
        long all = p.Shape.Length == 2 ? p.Shape[0] : 1, blocks = Math.Clamp(1 + (OptimizerGraph.StateBytes(p, settings) - 1) / most, 1, all), rows = (all + blocks - 1) / blocks;
        while (settings.HasInt8Moments(p) && rows * p.Shape[1] % QuantizedAdamW.Block != 0) rows++;     // all of them are a multiple
        return new(p, [.. Enumerable.Range(0, (int)blocks).Select(i => i * rows).Where(first => first < all).Select(Block)]);

        (ParameterInfo, long) Block(long first) =>
            (p with { Name = $"{p.Name}.rows{first}", Shape = p.Shape.SetItem(0, Math.Min(rows, p.Shape[0] - first)) }, first * (p.Count / p.Shape[0]));
    }

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
