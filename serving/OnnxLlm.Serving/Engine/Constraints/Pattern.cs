using System.Collections.Immutable;
using System.Text;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>What byte strings are allowed: a regular expression over bytes whose parts may be named rules, also recursive ones.</summary>
internal abstract record Pattern
{
    public static Pattern Nothing { get; } = new SequencePattern([]);

    public static Pattern Text(string text) => new SequencePattern([.. Encoding.UTF8.GetBytes(text).Select(b => new BytePattern(b, b))]);

    public static Pattern Sequence(params ImmutableArray<Pattern> parts) => parts.Length == 1 ? parts[0] : new SequencePattern(parts);

    public static Pattern Either(params ImmutableArray<Pattern> choices) => choices.Length == 1 ? choices[0] : new ChoicePattern(choices);

    public static Pattern Optional(Pattern item) => new RepeatPattern(item, 0, 1);

    /// <param name="max">Null for any number.</param>
    public static Pattern Repeat(Pattern item, int min, int? max) => new RepeatPattern(item, min, max);

    public static Pattern Rule(string name) => new RulePattern(name);
}

/// <summary>One byte of a range.</summary>
internal sealed record BytePattern(byte Low, byte High) : Pattern;

internal sealed record SequencePattern(ImmutableArray<Pattern> Parts) : Pattern;

internal sealed record ChoicePattern(ImmutableArray<Pattern> Choices) : Pattern;

internal sealed record RepeatPattern(Pattern Item, int Min, int? Max) : Pattern;

internal sealed record RulePattern(string Name) : Pattern;
