using Google.Protobuf;
using System.Runtime.InteropServices;
using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Cuda;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>The generation graphs for CUDA: float and INT8 weights, float16 and bfloat16 activations, for prompts and for single tokens.</summary>
internal static class GenerationCases
{
    private const int Length = 1024;

    public static IEnumerable<(string Name, Func<Finding> Find)> All(params ModelConfig[] configs)
    {
        foreach (var config in configs)
            foreach (bool quantized in (bool[])[false, true])
            {
                var model = new Lazy<ModelProto>(() => Model(config, quantized));
                foreach (var type in (ElementType[])[ElementType.Float16, ElementType.BFloat16])
                {
                    string name = $"{config.ModelType} {(quantized ? "int8" : "float")} {type}";
                    yield return ($"{name} tokens", () => GraphLint.Of($"{name} tokens", CudaGeneration.ForTokens(model.Value, type, Length).ToByteArray(), Placement.Caches(config)));
                    if (quantized) yield return ($"{config.ModelType} widened {type} tokens", () => GraphLint.Of($"{config.ModelType} widened {type} tokens", CudaGeneration.ForTokens(WidenedWeights.Of(model.Value), type, Length).ToByteArray(), Placement.Caches(config)));
                    var narrow = new Lazy<ModelProto>(() => CacheQuantizer.ToBFloat16(model.Value));
                    yield return ($"{name} narrow cache tokens", () => GraphLint.Of($"{name} narrow cache tokens", CudaGeneration.ForTokens(narrow.Value, type, Length).ToByteArray(), Placement.Caches(config)));
                    foreach (var found in Int8Cache($"{config.ModelType} {(quantized ? "int8" : "float")} byte-cache {type}", config, model, type)) yield return found;
                    yield return ($"{name} prompts", () => GraphLint.Of($"{name} prompts", CudaGeneration.ForPrompts(model.Value, type).ToByteArray(), Placement.Caches(config), strict: false));
                }
            }
    }

    private static IEnumerable<(string Name, Func<Finding> Find)> Int8Cache(string name, ModelConfig config, Lazy<ModelProto> model, ElementType type)
    {
        var scales = Placement.Caches(config).ToDictionary(c => c.Input, _ => Enumerable.Repeat(0.05f, config.KeyValueHeads * config.HeadSize).ToArray());
        var bytes = new Lazy<ModelProto>(() => CacheQuantizer.Quantize(model.Value, scales));
        yield return ($"{name} tokens", () => GraphLint.Of($"{name} tokens", CudaGeneration.ForTokens(bytes.Value, type, Length).ToByteArray(), Placement.Caches(config)));
        yield return ($"{name} prompts", () => GraphLint.Of($"{name} prompts", CudaGeneration.ForPrompts(bytes.Value, type).ToByteArray(), Placement.Caches(config), strict: false));
    }

    private static ModelProto Model(ModelConfig config, bool quantized)
    {
        var initializer = new Initializer(config, seed: 1);
        var parameters = ModelParameters.Of(config).ToDictionary(p => p.Name);
        var model = GenerationGraph.Export(config, name =>
        {
            float[] values = new float[parameters[name].Count];
            initializer.Fill(parameters[name], values);
            return new TensorData(ElementType.Float, TensorShape.Of(parameters[name].Shape), MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
        });
        return quantized ? WeightQuantizer.Quantize(model, new QuantizationSettings()).Model : model;
    }
}
