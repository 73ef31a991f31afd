using System.Collections.Frozen;
using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Autodiff;

/// <summary>What the backward pass computes again instead of keeping it from the forward pass.</summary>
public enum ActivationCheckpointing
{
    /// <summary>Everything is kept.</summary>
    None,

    /// <summary>Norms, activations and rotations are computed again, where their gradients do not give their values: they cost little time and hold much memory.</summary>
    Selective,

    /// <summary>Only the input of each block is kept (Chen et al., 2016); about a third more work.</summary>
    Block,
}

/// <summary>
/// Activation checkpointing as a pass over the forward graph while it is differentiated. When the walk enters a block (the nodes of one scope), it gets
/// the block's nodes computed again from what was kept, and takes the gradient rules of those. Each kept value passes through <see cref="Functions.After"/>
/// with the gradient that enters the block, so a block is recomputed when its turn has come, never early and never merged with the first computation.
/// </summary>
internal sealed class Recompute(ActivationCheckpointing kind, IEnumerable<Node> forward)
{
    private static readonly FrozenSet<string> Cheap = ["RmsNorm", "LayerNorm", "Gelu", "SwiGlu", "RotaryEmbedding"];

    private readonly ILookup<string, Node> _blocks = forward.ToLookup(n => n.Scope);
    private readonly Dictionary<string, Dictionary<Node, Node>> _again = [];

    /// <summary>The node whose inputs and outputs the gradient rule of <paramref name="n"/> may use, given a gradient that reaches it.</summary>
    public Node Of(Node n, Value signal)
    {
        if (kind == ActivationCheckpointing.None || n.Scope.Length == 0) return n;
        if (!_again.TryGetValue(n.Scope, out var again)) _again[n.Scope] = again = Again(n.Scope, signal);
        return again[n];
    }

    private Dictionary<Node, Node> Again(string block, Value signal)
    {
        var g = signal.Graph;
        using var scope = g.Scope($"recompute/{block}");
        var values = new Dictionary<Value, Value>();
        return _blocks[block].ToDictionary(n => n, n => IsComputedAgain(n) ? Copy(n) : n.With(Inputs(n, x => values.GetValueOrDefault(x, x))));

        Node Copy(Node n)
        {
            var copies = g.Emit(n.Op, Inputs(n, Later), [.. n.Outputs.Select(y => (y.Type, y.Shape))], n.Attributes, n.Domain, n.Function);
            foreach (var (y, copy) in n.Outputs.Zip(copies)) values[y] = copy;
            return copies[0].Producer!;
        }

        // What is there all the time, such as a weight, needs no waiting for.
        Value Later(Value x) => x.Producer is null ? x
            : values.TryGetValue(x, out var known) ? known
            : values[x] = Functions.After.Forward.Call(g, [x, signal])[0];
    }

    private bool IsComputedAgain(Node n) => kind == ActivationCheckpointing.Block || Cheap.Contains(n.Op);

    private static ImmutableArray<Value?> Inputs(Node n, Func<Value, Value> replace) => [.. n.Inputs.Select(x => x is null ? null : replace(x))];
}
