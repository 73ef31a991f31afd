using System.Text.Encodings.Web;
using System.Text.Json;

namespace OnnxLlm.Text.Files;

/// <summary>How our own JSON files are read and written: strictly, indented, with names in camel case.</summary>
internal static class Json
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerOptions.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
        NewLine = "\n",
    };

    public static T Read<T>(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllBytes(path), Options) ?? throw new TextException($"{path} holds nothing");
        }
        catch (JsonException error)
        {
            throw new TextException($"{path} is not what it should be: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    public static void Write<T>(string path, T value) => AtomicFile.Write(path, stream =>
    {
        JsonSerializer.Serialize(stream, value, Options);
        stream.WriteByte((byte)'\n');
    });
}
