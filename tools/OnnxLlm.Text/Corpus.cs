using System.Text.Encodings.Web;
using System.Text.Json;
using OnnxLlm.Text.Files;

namespace OnnxLlm.Text;

/// <summary>Documents on disk: <c>documents.jsonl</c>, one per line with its split, and <c>corpus.json</c>.</summary>
public sealed class Corpus
{
    private const string DocumentsName = "documents.jsonl";

    private static readonly JsonSerializerOptions LineOptions = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string _documents;

    private Corpus(string documents, CorpusManifest manifest) => (_documents, Manifest) = (documents, manifest);

    public CorpusManifest Manifest { get; }

    /// <summary>SHA-256 of the documents.</summary>
    public string Hash => Manifest.Sha256;

    /// <summary>Opens what <see cref="CorpusPreparation"/> wrote.</summary>
    /// <exception cref="TextException">There is none, or it was changed since.</exception>
    public static Corpus Open(string folder)
    {
        string path = Path.Combine(folder, CorpusManifest.FileName), documents = DocumentsPath(folder);
        if (!File.Exists(path) || !File.Exists(documents))
            throw new TextException($"there is no corpus in '{folder}'; 'corpus prepare --source … --out {folder}' makes one");
        var manifest = Json.Read<CorpusManifest>(path);
        if (manifest.Format != CorpusManifest.CurrentFormat)
            throw new TextException($"{path}: format {manifest.Format} is not known here; this version reads {CorpusManifest.CurrentFormat}");
        return Checksum.OfFile(documents) == manifest.Sha256 ? new Corpus(documents, manifest)
            : throw new TextException($"{documents} is not as it was prepared: its checksum differs from {CorpusManifest.FileName}'s; prepare it again");
    }

    /// <summary>Whether a folder holds an undamaged corpus of these inputs.</summary>
    internal static bool IsMadeFrom(string folder, string inputs)
    {
        try
        {
            return Open(folder).Manifest.Inputs == inputs;
        }
        catch (TextException)
        {
            return false;
        }
    }

    /// <summary>The documents in order, read as they are asked for.</summary>
    /// <param name="split">One of <see cref="Split"/>, or null for all.</param>
    public IEnumerable<Document> Documents(string? split = null)
        => File.ReadLines(_documents).Select(line => JsonSerializer.Deserialize<Document>(line, LineOptions)!).Where(d => split is null || d.Split == split);

    internal static string DocumentsPath(string folder) => Path.Combine(folder, DocumentsName);

    internal static void WriteLine(Stream stream, Document document)
    {
        JsonSerializer.Serialize(stream, document, LineOptions);
        stream.WriteByte((byte)'\n');
    }
}
