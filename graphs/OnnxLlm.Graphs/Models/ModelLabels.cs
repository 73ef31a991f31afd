using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;

namespace OnnxLlm.Graphs.Models;

/// <summary>The labels of a classifier in Hugging Face's form: <c>id2label</c>, which is read, and its inverse <c>label2id</c>.</summary>
internal static class ModelLabels
{
    public const string ToId = "label2id";

    private const string FromId = "id2label";

    /// <summary>Hugging Face leaves out what its classifiers have by default.</summary>
    public static ImmutableArray<string> Read(JsonFields fields) => [.. fields.Numbered(FromId) ?? ["LABEL_0", "LABEL_1"]];

    public static void Write(ImmutableArray<string> labels, JsonObject json)
    {
        json[FromId] = new JsonObject(labels.Index().Select(l => KeyValuePair.Create(l.Index.ToString(CultureInfo.InvariantCulture), (JsonNode?)l.Item)));
        json[ToId] = new JsonObject(labels.Index().Select(l => KeyValuePair.Create(l.Item, (JsonNode?)l.Index)));
    }
}
