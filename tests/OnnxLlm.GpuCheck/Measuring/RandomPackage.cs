using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Text;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>A model package with random weights: as fast as a trained one.</summary>
internal static class RandomPackage
{
    private const int CalibrationTokens = 64;

    /// <summary>Writes the package into a folder that does not exist yet.</summary>
    public static ModelPackage Write(string folder, ModelConfig config)
    {
        string tokenizer = $"{folder}.tokenizer";
        BpeTrainer.Train(["some words to make a small tokenizer of, some of them twice"], new BpeSettings { VocabularySize = 270 }).Save(tokenizer);
        var weights = Weights(config);
        PackageWriter.Write(folder, new PackageContents
        {
            Config = config,
            Weights = name => weights[name],
            WriteSafetensors = path => Safetensors.Write(path, weights.Select(w => SafetensorsSource.Of(w.Key, ElementType.Float, [.. w.Value.Shape.ToArray()], w.Value.Bytes))),
            TokenizerFolder = tokenizer,
        });
        return ModelPackage.Open(folder);
    }

    /// <summary>The same package with INT8 weights.</summary>
    public static ModelPackage Quantize(ModelPackage package, string folder) => Rewrite(package, folder, model => WeightQuantizer.Quantize(model, new QuantizationSettings()).Model);

    /// <summary>The same package with a cache of bytes.</summary>
    public static ModelPackage QuantizeCache(ModelPackage package, string folder) => Rewrite(package, folder, model =>
    {
        int[] text = [.. Enumerable.Range(0, Math.Min(package.Config.MaxPositions, CalibrationTokens)).Select(i => 7 * i % package.Config.VocabularySize)];
        return CacheQuantizer.Quantize(model, CacheCalibration.Scales(model, package.Config, text, threads: 1));
    });

    private static ModelPackage Rewrite(ModelPackage package, string folder, Func<ModelProto, ModelProto> rewrite)
    {
        PackageWriter.Replace(folder, partial =>
        {
            foreach (string name in package.Manifest.Files.Keys.Where(name => !name.StartsWith("model.", StringComparison.Ordinal))) File.Copy(Path.Combine(package.Folder, name), Path.Combine(partial, name));
            OnnxFile.Write(rewrite(OnnxFile.Read(package.ModelPath)), Path.Combine(partial, PackageManifest.ModelFile));
            return package.Manifest with { Precision = "int8", Quantization = [] };
        });
        return ModelPackage.Open(folder);
    }

    private static Dictionary<string, TensorData> Weights(ModelConfig config)
    {
        var initializer = new Initializer(config, seed: 1);
        return ModelParameters.Of(config).ToDictionary(p => p.Name, p =>
        {
            float[] values = new float[p.Count];
            initializer.Fill(p, values);
            return new TensorData(ElementType.Float, TensorShape.Of(p.Shape), MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
        });
    }
}
