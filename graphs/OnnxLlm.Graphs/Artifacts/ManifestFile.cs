using System.Text.Json;

namespace OnnxLlm.Graphs.Artifacts;

/// <summary><c>manifest.json</c>, the file that says what a folder of ours holds, as a record of the folder's kind.</summary>
internal static class ManifestFile
{
    public const string Name = "manifest.json";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerOptions.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        NewLine = "\n",
    };

    /// <param name="kind">What the folder should be, such as "a model package".</param>
    /// <param name="format">The format number that a manifest states, and the one that this program reads.</param>
    public static T Read<T>(string folder, string kind, Func<T, int> format, int current)
    {
        string path = Path.Combine(folder, Name);
        if (!File.Exists(path)) throw new GraphException($"{folder} is not {kind}: it has no {Name}.");
        try
        {
            var manifest = JsonSerializer.Deserialize<T>(File.ReadAllBytes(path), Options) ?? throw new JsonException("it is empty.");
            return format(manifest) == current
                ? manifest
                : throw new GraphException($"{path} has format {format(manifest)}; this program reads format {current}.");
        }
        catch (JsonException e)
        {
            throw new GraphException($"{path} is damaged: {e.Message}");
        }
    }

    public static void Write<T>(string folder, T manifest) =>
        File.WriteAllBytes(Path.Combine(folder, Name), [.. JsonSerializer.SerializeToUtf8Bytes(manifest, Options), (byte)'\n']);
}
