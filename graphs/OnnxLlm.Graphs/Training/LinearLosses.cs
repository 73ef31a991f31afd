using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// Writes the output layer of a finished single-precision graph, its loss and its gradients as one function, which has a kernel that never holds all
/// logits. The gradient of the weight goes straight into its buffer; where the weight is the embedding as well, so do the rows of that, afterwards.
/// </summary>
internal static class LinearLosses
{
    /// <summary>
    /// The name of the output that a tied weight's gradient has before the embedding's part is added. It is in the buffer as well, so it is to be bound
    /// there, like <paramref name="output"/>, the finished gradient.
    /// </summary>
    internal static string WithoutEmbedding(string output) => $"{output}.head";

    internal static Graph Fuse(Graph graph)
    {
        var readers = graph.Nodes.SelectMany(n => n.Inputs.OfType<Value>().Distinct().Select(v => (v, n))).ToLookup(p => p.v, p => p.n);
        foreach (var loss in graph.Nodes)
        {
            if (loss.Function == SoftmaxCrossEntropy.TokenLoss && IsLinear(loss, graph, readers)) return WithTokenLoss(graph, loss, loss[0].Producer!);
            if (loss.Function == SoftmaxCrossEntropy.Forward && IsLinear(loss, graph, readers) && Match.Of(loss, graph, readers) is { } match) return WithLoss(graph, match);
        }
        return graph;
    }

    /// <summary>Whether the logits are a plain product x·weightᵀ that nothing else reads.</summary>
    private static bool IsLinear(Node loss, Graph graph, ILookup<Value, Node> readers) =>
        loss[0].Producer is { } product && IsProduct(product, 0, 1) && readers[loss[0]].Count() == 1 && !IsOutput(graph, loss[0]);

    private static bool IsProduct(Node n, long transposeA, long transposeB) =>
        n is { Op: "Gemm", Domain: "", Inputs.Length: 2 } && n.Output.Type == ElementType.Float
        && n.Attributes.Int("transA", 0) == transposeA && n.Attributes.Int("transB", 0) == transposeB
        && n.Attributes.Float("alpha", 1) == 1;

    private static bool IsOutput(Graph graph, Value value) => graph.Outputs.Any(o => o.Value == value);

    private static Graph WithTokenLoss(Graph graph, Node loss, Node logits) =>
        graph.With(n => n == loss ? LinearCrossEntropy.TokenLoss.Replacing(n, [logits[0], logits[1], loss[1]], loss.Outputs, Attributes.None) : n);

    private static Graph WithLoss(Graph graph, Match match)
    {
        var (loss, logits, sum) = (match.Loss, match.Logits, match.Accumulation);
        var gradient = match.Embedding is null ? sum.Output : match.WeightGradient.Output;
        var fused = LinearCrossEntropy.Forward.Replacing(
            loss, [sum[0], logits[0], logits[1], loss[1], loss[2], sum[2]], [loss.Output, match.InputGradient.Output, gradient], Attributes.None);
        var without = new HashSet<Node?> { logits, match.InputGradient, match.WeightGradient, match.Embedding };
        var nodes = graph.Nodes.Where(n => !without.Contains(n)).Select(n => n == loss ? fused : n == sum ? Last(match) : n).OfType<Node>();
        var extra = match.Embedding is null ? [] : graph.Outputs.Where(o => o.Value == sum.Output).Select(o => (WithoutEmbedding(o.Name), gradient));
        return graph.With(nodes, extra);
    }

    /// <summary>What takes the place of the accumulation: nothing, or the addition of the embedding's rows to what is accumulated already.</summary>
    private static Node? Last(Match match) => match.Embedding is not { } rows ? null
        : ScatterAddRows.Forward.Replacing(rows, rows.Inputs, match.Accumulation.Outputs, Attributes.None);

    /// <param name="Embedding">The addition of the embedding's gradient to that of the weight, where they are one; the last of them where it is looked up several times.</param>
    /// <param name="Accumulation">Of the weight's gradient, in its buffer.</param>
    private sealed record Match(Node Loss, Node Logits, Node InputGradient, Node WeightGradient, Node? Embedding, Node Accumulation)
    {
        internal static Match? Of(Node loss, Graph graph, ILookup<Value, Node> readers)
        {
            var (logits, dlogits) = (loss[0].Producer!, loss.Outputs[1]);
            if (IsOutput(graph, dlogits) || readers[dlogits].ToArray() is not { Length: 2 } products) return null;
            var dx = products.FirstOrDefault(n => IsProduct(n, 0, 0) && n[0] == dlogits && n[1] == logits[1]);
            var dweight = products.FirstOrDefault(n => IsProduct(n, 1, 0) && n[0] == dlogits && n[1] == logits[0]);
            if (dx is null || dweight is null) return null;
            var (embedding, last, sum) = ((Node?)null, dweight, Only(dweight));
            while (sum?.Function == ScatterAddRows.Forward && sum[0] == last.Output) (embedding, last, sum) = (sum, sum, Only(sum));
            return sum?.Function == Accumulate.Forward && sum[1] == last.Output ? new(loss, logits, dx, dweight, embedding, sum) : null;

            Node? Only(Node n) => !IsOutput(graph, n.Output) && readers[n.Output].ToArray() is [var reader] ? reader : null;
        }
    }
}
