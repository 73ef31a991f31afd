namespace OnnxLlm.Serving.Engine;

/// <summary>The k highest of V values without sorting V of them.</summary>
internal static class BestTokens
{
    /// <param name="values">[V], one per token.</param>
    /// <returns>min(k, V) tokens, descending by value, ties by token.</returns>
    public static int[] Select(ReadOnlySpan<float> values, int k)
    {
        // A heap of the best so far with the worst of them on top; among equals the higher token is the worse.
        var heap = new PriorityQueue<int, (float Value, int Order)>();
        for (var token = 0; token < values.Length; token++)
        {
            if (heap.Count < k) heap.Enqueue(token, (values[token], -token));
            else if (heap.TryPeek(out _, out var worst) && values[token] > worst.Value) heap.DequeueEnqueue(token, (values[token], -token));
        }

        var best = new int[heap.Count];
        for (var i = best.Length - 1; i >= 0; i--) best[i] = heap.Dequeue();
        return best;
    }
}
