namespace OnnxLlm.Serving.Engine;

/// <summary>The k highest of V values without sorting V of them, and without memory of its own.</summary>
internal static class BestTokens
{
    /// <param name="values">[V], one per token.</param>
    /// <returns>min(k, V) tokens, descending by value, ties by token.</returns>
    public static int[] Select(ReadOnlySpan<float> values, int k)
    {
        var best = new int[Math.Min(k, values.Length)];
        Select(values, best);
        return best;
    }

    /// <param name="values">[V], one per token.</param>
    /// <param name="best">At most V places, filled with tokens, descending by value, ties by token.</param>
    public static void Select(ReadOnlySpan<float> values, Span<int> best)
    {
        if (best.IsEmpty) return;
        // A heap of the best so far with the worst of them on top.
        for (var token = 0; token < best.Length; token++) best[token] = token;
        for (var place = best.Length / 2 - 1; place >= 0; place--) Sink(values, best, place);
        var worst = values[best[0]];
        for (var token = best.Length; token < values.Length; token++)
        {
            if (!(values[token] > worst)) continue;
            best[0] = token;
            Sink(values, best, 0);
            worst = values[best[0]];
        }

        for (var last = best.Length - 1; last > 0; last--)
        {
            (best[0], best[last]) = (best[last], best[0]);
            Sink(values, best[..last], 0);
        }
    }

    /// <summary>Moves a token down until those below it are better.</summary>
    private static void Sink(ReadOnlySpan<float> values, Span<int> heap, int place)
    {
        while (true)
        {
            var worst = place;
            for (var below = 2 * place + 1; below <= 2 * place + 2 && below < heap.Length; below++)
                if (IsWorse(values, heap[below], heap[worst])) worst = below;
            if (worst == place) return;
            (heap[place], heap[worst]) = (heap[worst], heap[place]);
            place = worst;
        }
    }

    /// <summary>Among equals the higher token is the worse.</summary>
    private static bool IsWorse(ReadOnlySpan<float> values, int a, int b) => values[a] < values[b] || (values[a] == values[b] && a > b);
}
