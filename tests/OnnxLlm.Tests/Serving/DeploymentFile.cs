using OnnxLlm.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace OnnxLlm.Tests.Serving;

/// <summary>Reads the files of <c>deploy</c>.</summary>
internal static class DeploymentFile
{
    /// <summary>The documents of a file.</summary>
    public static IReadOnlyList<YamlMappingNode> Read(params string[] path)
    {
        var stream = new YamlStream();
        using var reader = File.OpenText(Repository.PathOf(["deploy", .. path]));
        stream.Load(reader);
        return [.. stream.Documents.Select(document => (YamlMappingNode)document.RootNode)];
    }

    /// <summary>The one document of a kind in a file of <c>deploy/kubernetes</c>.</summary>
    public static YamlMappingNode Find(string file, string kind) => Read("kubernetes", file).Single(document => document["kind"].ToString() == kind);

    /// <param name="path">Names, and indices of lists.</param>
    public static YamlNode At(YamlNode node, params object[] path) =>
        path.Aggregate(node, (inner, step) => step is int index ? ((YamlSequenceNode)inner)[index] : ((YamlMappingNode)inner)[(string)step]);

    /// <summary>The texts of a list.</summary>
    public static string[] Texts(YamlNode list) => [.. ((YamlSequenceNode)list).Select(item => item.ToString())];
}
