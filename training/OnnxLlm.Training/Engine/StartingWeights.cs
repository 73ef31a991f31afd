using System.Runtime.InteropServices;
using System.Security.Cryptography;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// The weights of a model that was trained before, to begin another training with: of a checkpoint, a model package, or a folder of Hugging Face's.
/// Numbers of 16 bits are widened. GPT-2's own files leave the first part of the names out.
/// </summary>
internal sealed class StartingWeights : IDisposable
{
    private readonly string _path;
    private readonly SafetensorsFile _file;

    private StartingWeights(string path) => (_path, _file) = (path, Safetensors.Open(path));

    /// <exception cref="TrainingException">The folder has no weights.</exception>
    public static StartingWeights Open(string folder) => new(PathIn(folder));

    /// <summary>SHA-256 of the file.</summary>
    public static string Hash(string folder)
    {
        using var stream = File.OpenRead(PathIn(folder));
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>The architecture beside the weights.</summary>
    /// <exception cref="TrainingException">The folder has none.</exception>
    public static ModelConfig Config(string folder) => Path.Combine(folder, PackageManifest.ConfigFile) is var path && File.Exists(path)
        ? ModelConfig.Load(path)
        : throw new TrainingException($"initial_weights: '{folder}' has no {PackageManifest.ConfigFile}, and the config has no model.");

    /// <summary>What is told where the model was trained with dropout, which goes on without; null where it was not, or does not say.</summary>
    public static string? DropoutNote(string folder)
    {
        var path = Path.Combine(folder, PackageManifest.ConfigFile);
        return File.Exists(path) && ModelConfig.DropoutsIn(path) is { Count: > 0 } names ? $"initial_weights: '{path}' has {string.Join(", ", names)}; dropout is left out, training drops nothing." : null;
    }

    /// <summary>The parameters that begin fresh: those of a classifier's head, where the model was trained for something else.</summary>
    public IEnumerable<ParameterInfo> Missing(IEnumerable<ParameterInfo> parameters) => parameters.Where(IsMissing);

    /// <summary>Fails where a parameter is missing, but for those of a classifier's head, or has another shape.</summary>
    public void Require(IEnumerable<ParameterInfo> parameters)
    {
        foreach (var p in parameters.Where(p => !IsMissing(p)))
            if (!_file[NameOf(p)].Shape.AsSpan().SequenceEqual(p.Shape.AsSpan()))
                throw new TrainingException($"initial_weights: {p.Name} is {TensorShape.Of(_file[NameOf(p)].Shape)} in '{_path}', the model has {TensorShape.Of(p.Shape)}.");
    }

    /// <param name="fresh">Gives what the file may lack.</param>
    public void Fill(ParameterInfo parameter, Span<float> values, Initializer fresh)
    {
        if (IsMissing(parameter)) fresh.Fill(parameter, values);
        else Fill(parameter, values);
    }

    public void Fill(ParameterInfo parameter, Span<float> values)
    {
        string name = NameOf(parameter);
        switch (_file[name].Type)
        {
            case ElementType.Float:
                _file.Span<float>(name).CopyTo(values);
                break;
            case ElementType.Float16:
                var halves = _file.Span<Half>(name);
                for (int i = 0; i < values.Length; i++) values[i] = (float)halves[i];
                break;
            case ElementType.BFloat16:
                var upper = _file.Span<ushort>(name);
                for (int i = 0; i < values.Length; i++) values[i] = BitConverter.UInt32BitsToSingle((uint)upper[i] << 16);
                break;
            case var type:
                throw new TrainingException($"initial_weights: {name} in '{_path}' holds {type}; weights are Float, Float16 or BFloat16.");
        }
    }

    /// <summary>The same for who wants tensors.</summary>
    public WeightSource Source(IEnumerable<ParameterInfo> parameters)
    {
        var known = parameters.ToDictionary(p => p.Name);
        return name =>
        {
            float[] values = new float[known[name].Count];
            Fill(known[name], values);
            return new(ElementType.Float, TensorShape.Of(known[name].Shape), MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
        };
    }

    public void Dispose() => _file.Dispose();

    private static string PathIn(string folder) => Path.Combine(folder, PackageManifest.WeightsFile) is var path && File.Exists(path)
        ? path
        : throw new TrainingException($"initial_weights: '{folder}' has no {PackageManifest.WeightsFile}.");

    private bool IsMissing(ParameterInfo p) => ModelParameters.IsClassificationHead(p.Name) && Known(p) is null;

    private string? Known(ParameterInfo p) => new[] { p.Name, p.Name[(p.Name.IndexOf('.', StringComparison.Ordinal) + 1)..] }.FirstOrDefault(_file.Contains);

    private string NameOf(ParameterInfo p) => Known(p)
        ?? throw new TrainingException($"initial_weights: '{_path}' has no {p.Name}.");
}
