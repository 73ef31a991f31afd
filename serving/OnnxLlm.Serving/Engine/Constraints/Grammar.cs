using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>
/// A pattern as automata: one per rule, whose edges take a byte, take nothing, or call a rule. It also knows from every state how many bytes the rule
/// takes to its end at least. It cannot change.
/// </summary>
internal sealed class Grammar
{
    /// <summary>More than enough for any sensible schema, and little enough to build within milliseconds.</summary>
    private const int MostStates = 50_000;
    private const int Unreachable = int.MaxValue / 4;

    private readonly List<List<Edge>> _states = [];
    private readonly Dictionary<string, Automaton> _rules = new(StringComparer.Ordinal);
    private readonly IReadOnlyDictionary<string, Pattern> _patterns;
    private readonly HashSet<int> _ends = [];
    private readonly Queue<(Pattern Pattern, Automaton Rule)> _unbuilt = [];
    private int[] _distances = [];

    /// <param name="root">The whole text.</param>
    /// <param name="rules">What <see cref="Pattern.Rule"/> may name.</param>
    /// <exception cref="ConstraintException">It is too large, or no text satisfies it.</exception>
    public Grammar(Pattern root, IReadOnlyDictionary<string, Pattern> rules)
    {
        _patterns = rules;
        Root = Build(root);
        // One after another, not each within the one that names it: a chain of rules may be longer than the stack is deep.
        while (_unbuilt.TryDequeue(out var next)) Add(next.Pattern, next.Rule.Start, next.Rule.End);
        Measure();
        _patterns = ImmutableDictionary<string, Pattern>.Empty;         // they take many times the memory of what was built of them
        if (_distances[Root.Start] >= Unreachable) throw new ConstraintException("No finite text satisfies the constraint.");
    }

    public Automaton Root { get; }

    public int States => _states.Count;

    /// <summary>The edges of a state.</summary>
    public IReadOnlyList<Edge> this[int state] => _states[state];

    /// <summary>A rule ends in this state.</summary>
    public bool IsEnd(int state) => _ends.Contains(state);

    /// <summary>How often an edge was looked at to find the distances: at most twice each.</summary>
    public int Looks { get; private set; }

    /// <summary>Bytes from a state to the end of its rule, at least.</summary>
    public int Distance(int state) => _distances[state];

    private int NewState()
    {
        if (_states.Count == MostStates) throw TooLarge();
        _states.Add([]);
        return _states.Count - 1;
    }

    private static ConstraintException TooLarge() => new("The constraint is too large.");

    private Automaton Build(Pattern pattern)
    {
        var (start, end) = (NewState(), NewState());
        Add(pattern, start, end);
        return new Automaton(start, end);
    }

    private Automaton RuleOf(string name)
    {
        if (_rules.TryGetValue(name, out var known)) return known;
        var rule = _rules[name] = new Automaton(NewState(), NewState());
        _unbuilt.Enqueue((_patterns[name], rule));
        return rule;
    }

    private void Add(Pattern pattern, int from, int to)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw TooLarge();
        switch (pattern)
        {
            case BytePattern bytes: _states[from].Add(new Edge(bytes.Low, bytes.High, null, to)); break;
            case RulePattern rule: _states[from].Add(new Edge(0, 0, RuleOf(rule.Name), to)); break;
            case SequencePattern sequence: AddSequence(sequence.Parts, from, to); break;
            case ChoicePattern choice: foreach (var part in choice.Choices) Add(part, from, to); break;
            case RepeatPattern repeat: AddRepeat(EmptyText.Without(repeat), from, to); break;
            default: throw new ServingException($"There is no pattern {pattern.GetType().Name}.");
        }
    }

    private void AddSequence(ImmutableArray<Pattern> parts, int from, int to)
    {
        for (var i = 0; i < parts.Length; i++)
        {
            var next = i == parts.Length - 1 ? to : NewState();
            Add(parts[i], from, next);
            from = next;
        }

        if (parts.IsEmpty) AddEmpty(from, to);
    }

    private void AddRepeat(RepeatPattern repeat, int from, int to)
    {
        var own = NewState();                   // loops must not mingle with other edges of the state
        AddEmpty(from, own);
        for (var i = 0; i < repeat.Min; i++) own = After(repeat.Item, own);
        if (repeat.Max is not { } max)
        {
            Add(repeat.Item, own, own);
            AddEmpty(own, to);
            return;
        }

        for (var i = repeat.Min; i < max; i++)
        {
            AddEmpty(own, to);
            own = After(repeat.Item, own);
        }

        AddEmpty(own, to);
    }

    private int After(Pattern item, int from)
    {
        var next = NewState();
        Add(item, from, next);
        return next;
    }

    private void AddEmpty(int from, int to) => _states[from].Add(new Edge(1, 0, null, to));

    /// <summary>Shortest ways, the nearest states first, so that a distance is final when what depends on it is looked at (Knuth 1977).</summary>
    private void Measure()
    {
        _distances = [.. Enumerable.Repeat(Unreachable, _states.Count)];
        _ends.UnionWith(_rules.Values.Append(Root).Select(rule => rule.End));
        var dependents = Dependents();
        var open = new PriorityQueue<int, int>();
        foreach (var end in _ends) open.Enqueue(end, _distances[end] = 0);
        while (open.TryDequeue(out var state, out var distance))
            if (distance == _distances[state]) Look(dependents[state], open);
    }

    private void Look(List<(int From, Edge Edge)> edges, PriorityQueue<int, int> open)
    {
        foreach (var (from, edge) in edges)
        {
            Looks++;
            var way = Cost(edge);
            if (way < _distances[from]) open.Enqueue(from, _distances[from] = way);
        }
    }

    /// <summary>By state, the edges whose cost depends on its distance: those to it, and those that call its rule.</summary>
    private List<(int From, Edge Edge)>[] Dependents()
    {
        List<(int, Edge)>[] dependents = [.. _states.Select(_ => new List<(int, Edge)>())];
        for (var state = 0; state < _states.Count; state++)
            foreach (var edge in _states[state])
            {
                dependents[edge.Target].Add((state, edge));
                if (edge.Rule is { } rule) dependents[rule.Start].Add((state, edge));
            }

        return dependents;
    }

    /// <summary>No finite text goes this way.</summary>
    public bool IsDead(Edge edge) => Cost(edge) >= Unreachable;

    /// <summary>Bytes to the end of the rule by way of an edge, at least.</summary>
    public int Cost(Edge edge)
    {
        var own = edge.Rule is { } rule ? _distances[rule.Start] : edge.IsEmpty ? 0 : 1;
        return Math.Min(Unreachable, own + _distances[edge.Target]);
    }
}

/// <summary>One rule: where it begins and where it ends.</summary>
internal sealed record Automaton(int Start, int End);

/// <summary>From a state to <paramref name="Target"/>: by a byte of a range, by nothing (the range is empty), or by a rule.</summary>
internal readonly record struct Edge(byte Low, byte High, Automaton? Rule, int Target)
{
    public bool IsEmpty => Rule is null && Low > High;
}
