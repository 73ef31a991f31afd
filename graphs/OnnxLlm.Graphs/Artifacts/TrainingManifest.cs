using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Artifacts;

/// <summary>
/// <c>manifest.json</c> of a folder of training graphs: for whom they are, what they train, and the SHA-256 of every other file.
/// </summary>
public sealed record TrainingManifest
{
    public const int CurrentFormat = 1;

    private const string Kind = "a folder of training graphs";

    public int Format { get; init; } = CurrentFormat;

    /// <summary><c>onnx</c> for stock ONNX Runtime, <c>ort-training</c> for ORT Training 1.19.</summary>
    public required string Target { get; init; }

    public required string ModelType { get; init; }

    public required long ParameterCount { get; init; }

    /// <summary>Without the frozen ones.</summary>
    public required long TrainableCount { get; init; }

    /// <summary>Sequences per run of the training graph.</summary>
    public required int MicroBatch { get; init; }

    /// <summary>Tokens per sequence.</summary>
    public required int SequenceLength { get; init; }

    /// <summary>Lower-case SHA-256 of every file of the folder but this one, by file name.</summary>
    public ImmutableSortedDictionary<string, string> Files { get; init; } = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>Reads the manifest and checks that every file it lists is there, unchanged, and in this folder.</summary>
    public static TrainingManifest Verify(string folder)
    {
        var manifest = ManifestFile.Read<TrainingManifest>(folder, Kind, m => m.Format, CurrentFormat);
        FileHashes.Verify(folder, manifest.Files);
        return manifest;
    }

    /// <summary>Makes a folder of what <paramref name="write"/> puts into it, with this manifest; an older one is replaced.</summary>
    internal TrainingManifest Write(string folder, Action<string> write) => ReplacedFolder.Write(folder, Kind, partial =>
    {
        write(partial);
        var hashed = this with { Files = FileHashes.Of(partial, ManifestFile.Name) };
        ManifestFile.Write(partial, hashed);
        return hashed;
    });
}
