namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>
/// A grammar over a vocabulary: where a text may stand in it, and which tokens may follow there. Positions and their masks are made when they are first
/// needed and kept, so a schema is compiled once for all who use it. The engine's loop alone uses it.
/// </summary>
internal sealed class Constraint
{
    /// <summary>Calls inside calls that recursive rules may reach; from there on only the shortest way is open.</summary>
    private const int DeepestStack = 64;
    private const int PositionsToKeep = 1024;
    private const int NodesToKeep = 1 << 16;

    /// <summary>
    /// Work that the mask of one position may take, in looks at an edge, some nanoseconds each. An enumeration of ten thousand texts takes 2.2 million; what takes more than this leaves thousands of ways open after
    /// every byte, and would hold up all answers.
    /// </summary>
    private const int MostWork = 1 << 22;

    /// <summary>Work of following an edge, which takes sets and new objects.</summary>
    private const int Following = 64;

    private readonly Grammar _grammar;
    private readonly TokenTrie _vocabulary;
    private readonly Dictionary<(int State, int Return), StackNode> _nodes = [];
    private readonly Dictionary<string, Position> _positions = new(StringComparer.Ordinal);
    private int _lastId;
    private int _workLeft = int.MaxValue;

    public Constraint(Grammar grammar, TokenTrie vocabulary)
    {
        (_grammar, _vocabulary) = (grammar, vocabulary);
        Start = Close([Node(grammar.Root.Start, null)])!;      // the grammar has made sure that there is a way
    }

    /// <summary>Before the first byte.</summary>
    public Position Start { get; }

    public int Vocabulary => _vocabulary.Count;

    /// <summary>Looks at edges so far, and what is as much work.</summary>
    public long Work { get; private set; }

    /// <summary>States of its grammar.</summary>
    public int States => _grammar.States;

    /// <summary>Where a token leads; null where it is not allowed.</summary>
    public Position? After(Position? position, int token)
    {
        var bytes = _vocabulary.Bytes(token);
        if (bytes.IsEmpty) return null;
        foreach (var b in bytes)
            if ((position = Next(position, b)) is null) return null;
        return position;
    }

    /// <summary>One bit per token that may follow; end tokens are not among them.</summary>
    /// <exception cref="ConstraintException">That takes too much work.</exception>
    public ulong[] Mask(Position position)
    {
        if (position.Mask is { } known) return known;
        if (_positions.Count > PositionsToKeep || _nodes.Count > NodesToKeep) Forget();
        var mask = new ulong[(_vocabulary.Count + 63) / 64];
        _workLeft = MostWork;
        try
        {
            Collect(_vocabulary.Root, position, mask);
        }
        finally
        {
            _workLeft = int.MaxValue;
        }

        return position.Mask = mask;
    }

    private void Collect(TokenTrie.Node node, Position position, ulong[] mask)
    {
        foreach (var token in node.Tokens) mask[token >> 6] |= 1UL << (token & 63);
        foreach (var (b, child) in node.Children)
            if (Next(position, b) is { } next) Collect(child, next, mask);
    }

    /// <summary>Where a byte leads, found for all bytes around it that the same edges take.</summary>
    private Position? Next(Position? position, byte b)
    {
        if (position is null) return null;
        if (position.IsKnown(b, out var next)) return next;
        byte low = byte.MinValue, high = byte.MaxValue;
        var reached = new List<StackNode>();
        foreach (var node in position.Stacks)
            foreach (var edge in _grammar[node.State])
            {
                Count(1);
                if (edge.Rule is not null || edge.IsEmpty || _grammar.IsDead(edge)) continue;
                if (b < edge.Low) high = Math.Min(high, (byte)(edge.Low - 1));
                else if (b > edge.High) low = Math.Max(low, (byte)(edge.High + 1));
                else
                {
                    (low, high) = (Math.Max(low, edge.Low), Math.Min(high, edge.High));
                    reached.Add(Node(edge.Target, node.Rest));
                }
            }

        next = reached.Count == 0 ? null : Close(reached);
        position.Learn(low, high, next);
        return next;
    }

    private void Count(int work)
    {
        Work += work;
        if ((_workLeft -= work) < 0) throw new ConstraintException("The constraint leaves too many ways open at once; say it with fewer optional and repeated parts.");
    }

    /// <summary>All that is reached without another byte.</summary>
    private Position? Close(List<StackNode> reached)
    {
        var stacks = new SortedDictionary<int, StackNode>();
        var seen = new HashSet<int>();
        var open = new Stack<StackNode>(reached);
        var isEnd = false;
        while (open.TryPop(out var node))
        {
            if (!seen.Add(node.Id)) continue;
            foreach (var edge in _grammar[node.State])
            {
                Count(Following);
                Follow(node, edge, open, stacks);
            }

            if (!_grammar.IsEnd(node.State)) continue;
            if (node.Rest is { } rest) open.Push(rest);
            else isEnd = true;
        }

        if (stacks.Count == 0 && !isEnd) return null;
        var key = string.Join(',', stacks.Keys) + (isEnd ? "." : "");
        if (_positions.TryGetValue(key, out var known)) return known;
        return _positions[key] = new Position([.. stacks.Values], isEnd);
    }

    private void Follow(StackNode node, Edge edge, Stack<StackNode> open, SortedDictionary<int, StackNode> stacks)
    {
        if (_grammar.IsDead(edge)) return;
        if (edge.Rule is null && !edge.IsEmpty) stacks[node.Id] = node;
        else if (node.Depth > DeepestStack && _grammar.Cost(edge) > _grammar.Distance(node.State)) return;
        else if (edge.Rule is { } rule) open.Push(Node(rule.Start, Behind(edge, node)));
        else open.Push(Node(edge.Target, node.Rest));
    }

    /// <summary>Where it goes on behind a rule. A call that is the last of its own rule needs no return to it: rules that are nothing but each other would pile up returns without end.</summary>
    private StackNode? Behind(Edge call, StackNode node) => _grammar.IsEnd(call.Target) ? node.Rest : Node(call.Target, node.Rest);

    private StackNode Node(int state, StackNode? rest)
    {
        var key = (state, rest?.Id ?? -1);
        if (!_nodes.TryGetValue(key, out var node)) _nodes[key] = node = new StackNode(_lastId++, state, rest, _grammar.Distance(state));
        return node;
    }

    /// <summary>Sequences that stand at a position keep it, but nothing else does: neither is it found, nor does another position lead to it.</summary>
    private void Forget()
    {
        foreach (var position in _positions.Values) position.Forget();
        Start.Forget();
        _positions.Clear();
        _nodes.Clear();
    }
}
