using System.Collections.Immutable;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Trainable parameters that an optimizer graph updates as one tensor: they lie behind each other in memory, and so do their gradients and their moments.
/// </summary>
/// <param name="Whole">The tensor, with the names and shape that the optimizer graph knows; the parameter itself where it is alone.</param>
/// <param name="Members">The parameters, each with the number of elements before it.</param>
public sealed record FlatGroup(ParameterInfo Whole, ImmutableArray<(ParameterInfo Parameter, long Offset)> Members)
{
    /// <summary>The tensors of all members that are parts of others: the name of each, that of the tensor in which it lies, its shape, and the number of elements before it.</summary>
    public IEnumerable<(string Own, string Whole, ImmutableArray<long> Shape, long Offset)> Views =>
        Members.SelectMany(m => Tensors(m.Parameter).Zip(Tensors(Whole), (own, whole) => View(own, whole, m.Parameter, m.Offset))).Where(view => view.Own != view.Whole);

    /// <summary>The tensors of a member and those of the whole in which they lie: itself, its gradient, and each state that an optimizer may keep.</summary>
    private static IEnumerable<string> Tensors(ParameterInfo p) => p.OptimizerStates.Prepend(p.GradientBuffer).Prepend(p.Name);

    private static (string Own, string Whole, ImmutableArray<long> Shape, long Offset) View(string own, string whole, ParameterInfo member, long offset) =>
        own == member.FirstScale || own == member.SecondScale
            ? (own, whole, [member.Count / QuantizedAdamW.Block], offset / QuantizedAdamW.Block)
            : (own, whole, member.Shape, offset);
}

/// <summary>Which parameters lie together. An update of one large tensor takes a few launches of a GPU, updates of a hundred small ones a thousand.</summary>
internal static class FlatParameters
{
    /// <summary>Elements to which each member is aligned: 256 bytes, what a GPU's memory is allocated in. What is between them stays 0.</summary>
    public const long Alignment = 64;

    /// <summary>Each parameter by itself.</summary>
    public static ImmutableArray<FlatGroup> Apart(IEnumerable<ParameterInfo> trainable) => [.. trainable.Select(Alone)];

    /// <summary>Together whatever is updated alike: with weight decay, or without. Learning rates that differ by layer, and Muon's matrices, stay apart.</summary>
    public static ImmutableArray<FlatGroup> Together(ImmutableArray<ParameterInfo> trainable, OptimizerSettings settings)
    {
        if (settings.LayerDecay != 1 || settings.Kind == OptimizerKind.Muon) return Apart(trainable);
        return [.. trainable.GroupBy(p => p.Decay).Select(group => group.Count() == 1 ? Alone(group.Single()) : Group(group.Key ? "flat.decayed" : "flat.plain", group.Key, group))];
    }

    private static FlatGroup Alone(ParameterInfo p) => new(p, [(p, 0)]);

    private static FlatGroup Group(string name, bool decay, IEnumerable<ParameterInfo> parameters)
    {
        var members = ImmutableArray.CreateBuilder<(ParameterInfo, long)>();
        long length = 0;
        foreach (var p in parameters)
        {
            members.Add((p, length));
            length += (p.Count + Alignment - 1) / Alignment * Alignment;
        }
        return new(new ParameterInfo(name, [length], decay), members.ToImmutable());
    }
}
