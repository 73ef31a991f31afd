using System.Collections.Immutable;
using System.IO.Enumeration;

namespace OnnxLlm.Graphs.Training;

/// <summary>Which parameters training leaves as they are: those whose name matches a pattern, where * stands for any text, such as <c>transformer.h.0.*</c>.</summary>
public static class FrozenParameters
{
    /// <summary>The same parameters, the matching ones marked as not trainable.</summary>
    /// <exception cref="GraphException">A pattern matches nothing, or nothing is left to train.</exception>
    public static ImmutableArray<ParameterInfo> Freeze(ImmutableArray<ParameterInfo> parameters, IReadOnlyCollection<string> patterns)
    {
        foreach (string pattern in patterns)
            if (!parameters.Any(p => Matches(pattern, p.Name))) throw new GraphException($"frozen: '{pattern}' is the name of no parameter.{NearestName.Hint(pattern, Examples(parameters))}");
        var marked = parameters.Select(p => p with { Trainable = !patterns.Any(pattern => Matches(pattern, p.Name)) }).ToImmutableArray();
        return marked.Any(p => p.Trainable) ? marked : throw new GraphException("frozen: nothing is left to train.");
    }

    private static bool Matches(string pattern, string name) => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);

    /// <summary>The names outside the blocks and those of the first block: enough to see how all are written.</summary>
    private static List<string> Examples(ImmutableArray<ParameterInfo> parameters) =>
        [.. parameters.Select(p => p.Name).Where(name => !name.Any(char.IsAsciiDigit) || name.Contains(".0.", StringComparison.Ordinal))];
}
