using System.Collections.Immutable;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Lets the gradients of activations and norms give those functions' values as well, in a finished graph, for the gradients of the weights behind them: the values then need not be
/// kept from the forward pass. A gradient computes its function's value on its way, or nearly, so that this takes memory and no time.
/// </summary>
internal static class RegainedValues
{
    private static readonly ImmutableArray<Regaining> All =
    [
        new(Gelu.Forward, Gelu.Backward, Gelu.BackwardWithValue), new(SwiGlu.Forward, SwiGlu.Backward, SwiGlu.BackwardWithValue),
        new(RmsNorm.Forward, RmsNorm.Backward, RmsNorm.BackwardWithValue), new(LayerNorm.Forward, LayerNorm.Backward, LayerNorm.BackwardWithValue),
    ];

    internal static Graph Fuse(Graph graph)
    {
        var wanted = graph.Nodes.Where(IsAccumulation).SelectMany(n => n.Inputs).ToHashSet();
        var readers = graph.Nodes.SelectMany(n => n.Inputs.OfType<Value>().Select(v => (v, n))).ToLookup(p => p.v, p => p.n);
        var forward = graph.Nodes.Where(n => All.Any(r => r.Forward == n.Function) && wanted.Contains(n.Output) && IsOfOneBlock(n)).ToLookup(n => n.Function);
        var regained = new Dictionary<Value, Value>();
        return graph.With([.. graph.Nodes.Select(Gradient).Select(Reader)], []);

        // What many blocks read, such as an encoder's result, has its gradient after all of theirs: their products would have to wait for it, and keep what they read.
        bool IsOfOneBlock(Node n) => readers[n.Output].All(reader => reader.Scope == n.Scope || IsAccumulation(reader));

        Node Gradient(Node n)
        {
            if (All.FirstOrDefault(r => r.Backward == n.Function) is not { } function || forward[function.Forward].FirstOrDefault(f => IsGradient(n, f)) is not { } of) return n;
            var value = regained[of.Output] = new Value(n.Graph, of.Output.Type, of.Output.Shape);
            return function.WithValue.Replacing(n, [.. n.Inputs.Select(x => Statistic(of, x!)), .. of.Inputs.Where(x => !n.Inputs.Contains(x))], [.. n.Outputs, value], n.Attributes);
        }

        // A norm that was computed again for its value alone need not be: its mean and deviation are those of the first time, which are small.
        Value Statistic(Node of, Value x) =>
            of.Outputs.IndexOf(x) is > 0 and var output && readers[of.Output].All(IsAccumulation) && graph.Nodes.FirstOrDefault(n => IsFirst(n, of)) is { } first ? first.Outputs[output] : x;

        // Accumulations come behind all gradients.
        Node Reader(Node n) => IsAccumulation(n) && n.Inputs.Any(x => regained.ContainsKey(x!)) ? n.With([.. n.Inputs.Select(x => regained.GetValueOrDefault(x!, x!))]) : n;
    }

    private static bool IsAccumulation(Node n) => n.Function == MatrixProduct.Accumulated;

    /// <summary>Whether a node computed what <paramref name="again"/> computes again from what was kept.</summary>
    private static bool IsFirst(Node n, Node again) =>
        n != again && n.Function == again.Function && n.Inputs.Zip(again.Inputs, (x, kept) => kept == x || kept!.Producer is { } after && after.Function == After.Forward && after[0] == x).All(same => same);

    /// <summary>Whether a gradient is of this very call: it reads only what that read or gave, beside the gradient that enters.</summary>
    private static bool IsGradient(Node gradient, Node forward) => gradient.Inputs.Skip(1).All(x => forward.Inputs.Contains(x) || forward.Outputs.Contains(x!));

    /// <param name="WithValue">The gradient that gives the value as well: its inputs are those of <paramref name="Backward"/> and what else of the inputs of <paramref name="Forward"/> the value needs.</param>
    private sealed record Regaining(Function Forward, Function Backward, Function WithValue);
}
