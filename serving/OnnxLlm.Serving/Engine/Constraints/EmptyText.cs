using System.Collections.Immutable;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>
/// Patterns that also match the empty text, without it. Where such a pattern is repeated, a text may stand in any of the repetitions at any time, because all others may be empty: thousands of ways at
/// once. (x?){m,n} is x{0,n}, which leaves one.
/// </summary>
internal static class EmptyText
{
    /// <summary>A sequence of n parts becomes n(n + 1)/2 of them.</summary>
    private const int MostParts = 4;

    /// <summary>A pattern that is repeated; what is more complicated, or names a rule, stays as it is.</summary>
    public static RepeatPattern Without(RepeatPattern repeat) =>
        Allows(repeat.Item) && Remove(repeat.Item) is { } item && !Allows(item) ? new RepeatPattern(item, 0, repeat.Max) : repeat;

    private static bool Allows(Pattern pattern) => pattern switch
    {
        SequencePattern sequence => sequence.Parts.All(Allows),
        ChoicePattern choice => choice.Choices.Any(Allows),
        RepeatPattern repeat => repeat.Min == 0 || Allows(repeat.Item),
        _ => false,
    };

    /// <summary>The same texts but the empty one; null where there is no other.</summary>
    private static Pattern? Remove(Pattern pattern)
    {
        if (!Allows(pattern)) return pattern;
        return pattern switch
        {
            SequencePattern { Parts.Length: <= MostParts } sequence => Either(sequence.Parts.Select((part, i) => Remove(part) is { } first ? Pattern.Sequence([first, .. sequence.Parts[(i + 1)..]]) : null)),
            ChoicePattern choice => Either(choice.Choices.Select(Remove)),
            RepeatPattern repeat => repeat.Max != 0 && Remove(repeat.Item) is { } item ? new RepeatPattern(item, 1, repeat.Max) : null,
            _ => pattern,
        };
    }

    private static Pattern? Either(IEnumerable<Pattern?> choices)
    {
        ImmutableArray<Pattern> some = [.. choices.OfType<Pattern>()];
        return some.IsEmpty ? null : Pattern.Either(some);
    }
}
