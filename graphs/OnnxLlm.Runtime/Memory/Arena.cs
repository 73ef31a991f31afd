using System.Collections;

namespace OnnxLlm.Runtime.Memory;

/// <summary>
/// A model of the arena from which ONNX Runtime takes activations: regions that double in size, best fit, neighbours merged when freed, nothing given
/// back. What counts is the pages that were ever written: a region's untouched end costs nothing.
/// </summary>
internal sealed class Arena
{
    private const long Unit = 256, FirstRegion = 1 << 20, LargestRest = 128 << 20, Page = 4096;

    private readonly List<BitArray> _regions = [];
    private readonly SortedSet<Chunk> _free = new(Comparer<Chunk>.Create((a, b) =>
        (a.Bytes, a.Region, a.Offset).CompareTo((b.Bytes, b.Region, b.Offset))));
    private long _next = FirstRegion;

    /// <summary>Bytes of all pages ever handed out.</summary>
    public long Touched { get; private set; }

    /// <summary>A piece of a region between two others of it.</summary>
    internal sealed class Chunk
    {
        public int Region { get; init; }

        public long Offset { get; init; }

        public long Bytes { get; set; }

        public Chunk? Before { get; set; }

        public Chunk? After { get; set; }

        public bool Used { get; set; }
    }

    public Chunk Allocate(long bytes)
    {
        long needed = (Math.Max(bytes, 1) + Unit - 1) / Unit * Unit;
        var chunk = _free.GetViewBetween(new Chunk { Bytes = needed, Region = -1 }, new Chunk { Bytes = long.MaxValue }).Min ?? Extend(needed);
        _free.Remove(chunk);
        if (chunk.Bytes >= 2 * needed || chunk.Bytes - needed >= LargestRest) Split(chunk, needed);
        chunk.Used = true;
        Touch(chunk, bytes);
        return chunk;
    }

    public void Free(Chunk chunk)
    {
        chunk.Used = false;
        if (chunk.After is { Used: false } after) Join(chunk, after);
        if (chunk.Before is { Used: false } before)
        {
            _free.Remove(before);
            Join(before, chunk);
            chunk = before;
        }
        _free.Add(chunk);
    }

    private Chunk Extend(long needed)
    {
        bool grown = false;
        for (; _next < needed; grown = true) _next *= 2;
        var chunk = new Chunk { Region = _regions.Count, Bytes = _next };
        _regions.Add(new BitArray((int)((_next + Page - 1) / Page)));
        if (!grown) _next *= 2;
        return chunk;
    }

    private void Split(Chunk chunk, long bytes)
    {
        var rest = new Chunk { Region = chunk.Region, Offset = chunk.Offset + bytes, Bytes = chunk.Bytes - bytes, Before = chunk, After = chunk.After };
        if (rest.After is { } next) next.Before = rest;
        (chunk.Bytes, chunk.After) = (bytes, rest);
        _free.Add(rest);
    }

    private void Join(Chunk chunk, Chunk after)
    {
        _free.Remove(after);
        chunk.Bytes += after.Bytes;
        chunk.After = after.After;
        if (after.After is { } next) next.Before = chunk;
    }

    private void Touch(Chunk chunk, long bytes)
    {
        var pages = _regions[chunk.Region];
        for (long page = chunk.Offset / Page; page * Page < chunk.Offset + bytes; page++)
        {
            if (pages[(int)page]) continue;
            pages[(int)page] = true;
            Touched += Page;
        }
    }
}
