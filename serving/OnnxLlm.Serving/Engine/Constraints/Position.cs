using System.Collections.Immutable;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>Where a text stands in a grammar: all the ways in which it may have come there, each a stack of rules to return from.</summary>
/// <param name="isEnd">The text may end here.</param>
internal sealed class Position(ImmutableArray<StackNode> stacks, bool isEnd)
{
    private readonly Position?[] _next = new Position?[256];
    private readonly ulong[] _known = new ulong[4];

    public ImmutableArray<StackNode> Stacks => stacks;

    public bool IsEnd => isEnd;

    /// <summary>The text must end here.</summary>
    public bool IsOnlyEnd => isEnd && stacks.IsEmpty;

    /// <summary>Bytes to an end, at least.</summary>
    public int Distance { get; } = isEnd ? 0 : stacks.Min(stack => stack.Distance);

    /// <summary>Tokens that may follow, once they have been worked out.</summary>
    public ulong[]? Mask { get; set; }

    public bool IsKnown(byte b, out Position? next)
    {
        next = _next[b];
        return (_known[b >> 6] >> (b & 63) & 1) != 0;
    }

    /// <summary>All bytes of a range lead to the same.</summary>
    public void Learn(byte low, byte high, Position? next)
    {
        for (int b = low; b <= high; b++)
        {
            _next[b] = next;
            _known[b >> 6] |= 1UL << (b & 63);
        }
    }

    /// <summary>Where bytes lead from here has to be worked out again.</summary>
    public void Forget()
    {
        Array.Clear(_next);
        Array.Clear(_known);
    }
}

/// <summary>A state, and the states to return to. Equal stacks are one object.</summary>
internal sealed class StackNode(int id, int state, StackNode? rest, int distance)
{
    public int Id => id;

    public int State => state;

    public StackNode? Rest => rest;

    public int Depth { get; } = rest is null ? 0 : rest.Depth + 1;

    /// <summary>Bytes to the end of the text, at least.</summary>
    public int Distance { get; } = distance + (rest?.Distance ?? 0);
}
