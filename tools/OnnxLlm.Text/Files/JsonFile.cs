using System.Text.Json;

namespace OnnxLlm.Text.Files;

/// <summary>A parsed JSON file whose errors name the file and the place.</summary>
internal sealed class JsonFile : IDisposable
{
    private readonly JsonDocument _document;

    private JsonFile(JsonDocument document) => _document = document;

    public JsonElement Root => _document.RootElement;

    public static JsonFile Open(string path)
    {
        try
        {
            return new JsonFile(JsonDocument.Parse(File.ReadAllBytes(path)));
        }
        catch (JsonException error)
        {
            throw new TextException($"{path} is not valid JSON (line {error.LineNumber + 1})", error);
        }
    }

    public void Dispose() => _document.Dispose();
}
