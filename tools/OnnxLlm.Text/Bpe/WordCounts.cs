using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace OnnxLlm.Text.Bpe;

/// <summary>How often each piece of pre-tokenised text occurs. Threads count on their own; sums do not depend on who counted what.</summary>
internal static class WordCounts
{
    public static Dictionary<byte[], long> Of(IEnumerable<string> documents, int threads, IProgress<TextProgress>? progress)
    {
        var total = NewCounts();
        long characters = 0;
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads > 0 ? threads : Environment.ProcessorCount };
        try
        {
            Parallel.ForEach(documents, options, NewCounts, (document, _, counts) =>
            {
                Count(document, counts);
                progress?.Report(new TextProgress("counting words", Interlocked.Add(ref characters, document.Length), 0));
                return counts;
            }, counts => Add(counts, total));
        }
        catch (AggregateException error)
        {
            ExceptionDispatchInfo.Throw(error.InnerExceptions[0]);   // reading a document failed: that is what the user must hear
        }
        return total;
    }

    private static Dictionary<byte[], long> NewCounts() => new(new ByteComparer());

    private static void Count(string document, Dictionary<byte[], long> counts)
    {
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<byte>>();
        foreach (var piece in new Pieces(System.Text.Encoding.UTF8.GetBytes(document)))
            CollectionsMarshal.GetValueRefOrAddDefault(lookup, piece, out _)++;
    }

    private static void Add(Dictionary<byte[], long> counts, Dictionary<byte[], long> total)
    {
        lock (total)
            foreach (var (word, count) in counts)
                CollectionsMarshal.GetValueRefOrAddDefault(total, word, out _) += count;
    }
}
