using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Export;

/// <summary>Writes the folder that the genuine ORT Training runtime trains: of a config with fresh weights, of a run, or of a package.</summary>
internal sealed record OrtTrainingExport
{
    /// <summary>The config of a run, with fresh weights; beside <see cref="Package"/>, how its model is to be trained.</summary>
    public string? Config { get; init; }

    /// <summary>A run: its config, and the weights of a checkpoint.</summary>
    public string? Run { get; init; }

    /// <summary>See <see cref="TrainingRunFolder.Checkpoint"/>.</summary>
    public string Checkpoint { get; init; } = "best";

    /// <summary>A model package: its architecture and weights.</summary>
    public string? Package { get; init; }

    public required string Target { get; init; }

    /// <summary>Edits of the config, see <see cref="JsonEdits"/>.</summary>
    public IReadOnlyList<string> Edits { get; init; } = [];

    /// <summary>Builds the config's learning rate into the optimizer model, for runtimes that cannot set one.</summary>
    public bool BakeLearningRate { get; init; }

    public TrainingManifest Write()
    {
        Require();
        if (Run is not null) return OfRun();
        if (Package is not null) return OfPackage();
        var recipe = Recipe(TrainingRecipe.Read(Config!), Config!, model: null);
        return Write(recipe, new Initializer(recipe.Setup.Model, recipe.Seed).Source());
    }

    private TrainingManifest OfRun()
    {
        var checkpoint = TrainingRunFolder.Open(Run!).Checkpoint(Checkpoint);
        checkpoint.VerifiedHash();
        string record = Path.Combine(Run!, TrainingRunFolder.RecordFile);
        return Write(Recipe(TrainingRecipe.Read(record), record, model: null), checkpoint.Weights);
    }

    private TrainingManifest OfPackage()
    {
        var package = ModelPackage.Open(Package!);
        var config = Config is null ? [] : TrainingRecipe.Read(Config);
        return Write(Recipe(config, Config ?? Package!, package.Config), Path.Combine(Package!, PackageManifest.WeightsFile));
    }

    private TrainingManifest Write(TrainingRecipe recipe, string weights)
    {
        using var file = Safetensors.Open(weights);
        return Write(recipe, name => new TensorData(file[name].Type, TensorShape.Of(file[name].Shape), file.Bytes(name).ToArray()));
    }

    private TrainingManifest Write(TrainingRecipe recipe, WeightSource weights)
    {
        var parameters = recipe.Setup.Parameters().ToDictionary(p => p.Name);
        return TrainingFolder.WriteOrtTraining(Target, recipe.Setup, Checked, BakeLearningRate ? [recipe.LearningRate] : []);

        TensorData Checked(string name)
        {
            var data = weights(name)!;
            return data.Type == ElementType.Float && data.Shape.Equals(TensorShape.Of(parameters[name].Shape))
                ? data
                : throw new ToolException($"'{name}' is {data.Type}{data.Shape} among the weights; the config's model needs Float{TensorShape.Of(parameters[name].Shape)}.");
        }
    }

    private TrainingRecipe Recipe(JsonObject json, string name, ModelConfig? model)
    {
        if (Edits.Select(edit => JsonEdits.Apply(json, edit)).FirstOrDefault(mistake => mistake is not null) is { } mistake) throw new ToolException(mistake);
        return TrainingRecipe.Parse(json, name, model);
    }

    private void Require()
    {
        if (Run is null && Package is null && Config is null) throw new ToolException("Nothing to export: name a --config, a --run or a --package.");
        if (Run is not null && (Package ?? Config) is not null) throw new ToolException("A --run has its own config and weights; leave out --config and --package.");
    }
}
