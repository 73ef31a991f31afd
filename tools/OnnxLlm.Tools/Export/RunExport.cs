using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Text;

namespace OnnxLlm.Tools.Export;

/// <summary>Makes a model package of a checkpoint: its weights, the run's architecture, the tokenizer of its data, and the generation graph.</summary>
/// <param name="Run">Folder of the run.</param>
/// <param name="Checkpoint">See <see cref="TrainingRunFolder.Checkpoint"/>.</param>
/// <param name="Target">Folder of the package.</param>
/// <param name="Tokenizer">Folder of the tokenizer; null: the one in, or beside, the token shards.</param>
internal sealed record RunExport(string Run, string Checkpoint, string Target, string? Tokenizer)
{
    /// <summary>The manifest, the checkpoint it was made from, and whether the package was there already.</summary>
    public (PackageManifest Manifest, CheckpointFolder Checkpoint, bool UpToDate) Write()
    {
        var run = TrainingRunFolder.Open(Run);
        var checkpoint = run.Checkpoint(Checkpoint);
        string weights = checkpoint.VerifiedHash();
        if (PackageFolder.Intact(Target) is { } manifest && manifest.Files.GetValueOrDefault(PackageManifest.WeightsFile) == weights) return (manifest, checkpoint, true);
        return (Write(run, checkpoint), checkpoint, false);
    }

    private PackageManifest Write(TrainingRunFolder run, CheckpointFolder checkpoint)
    {
        string folder = TokenizerFolder(run);
        using var weights = Safetensors.Open(checkpoint.Weights);
        return PackageWriter.Write(Target, new PackageContents
        {
            Config = WithSpecialTokens(run.Model, Text.Tokenizer.Load(folder).Special),
            Weights = name => new(weights[name].Type, TensorShape.Of(weights[name].Shape), weights.Memory(name)),
            WriteSafetensors = path => File.Copy(checkpoint.Weights, path),
            TokenizerFolder = folder,
            Source = new(Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Run))), checkpoint.Step),
        });
    }

    private string TokenizerFolder(TrainingRunFolder run)
    {
        string[] places = Tokenizer is null ? [run.Data, Path.Combine(run.Data, "..", "tokenizer"), Path.Combine(run.Data, "tokenizer")] : [Tokenizer];
        string folder = places.FirstOrDefault(place => File.Exists(Path.Combine(place, "tokenizer.json")))
            ?? throw new ToolException($"No tokenizer.json in {string.Join(" or ", places)}; name its folder with --tokenizer.");
        return run.TokenizerHash.Length == 0 || Text.Tokenizer.Load(folder).Hash == run.TokenizerHash
            ? folder
            : throw new ToolException($"The tokenizer in '{folder}' is not the one that made the run's data; name the right folder with --tokenizer.");
    }

    /// <summary>Where training did not name them, the ends of texts are those that the tokenizer marks.</summary>
    private static ModelConfig WithSpecialTokens(ModelConfig config, SpecialTokens special) => config.WithTokens(special.Bos, special.Eos, special.Pad);
}
