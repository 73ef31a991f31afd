using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Models;

/// <summary>A package with random weights: as fast as a trained one, and there without training.</summary>
internal sealed class RandomModel
{
    private const int Seed = 1, Words = 6000, LongestWord = 8;

    private readonly Dictionary<string, (ParameterInfo Parameter, byte[] Bytes)> _weights;

    private RandomModel(ModelConfig config)
    {
        var initializer = new Initializer(config, Seed);
        _weights = ModelParameters.Of(config).ToDictionary(parameter => parameter.Name, parameter => (parameter, Fill(initializer, parameter)));
    }

    public static ModelConfig Config { get; } = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = 4096,
        Width = 256,
        Layers = 4,
        Heads = 8,
        KeyValueHeads = 4,
        FeedForward = 688,
        MaxPositions = 256,
        TiedEmbeddings = true,
    };

    /// <summary>A LLaMA of 124 M parameters, as other runtimes are compared with.</summary>
    public static ModelConfig Large { get; } = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = 32000,
        Width = 768,
        Layers = 12,
        Heads = 12,
        KeyValueHeads = 4,
        FeedForward = 2048,
        MaxPositions = 2560,
    };

    /// <summary>Writes the package <c>random</c> into a folder, and returns its path.</summary>
    /// <param name="config">Null: quickstart's shape.</param>
    public static string Write(string folder, ModelConfig? config = null)
    {
        config ??= Config;
        string tokenizer = Path.Combine(folder, "tokenizer"), package = Path.Combine(folder, "random");
        BpeTrainer.Train(Text(), new BpeSettings { VocabularySize = Math.Min(config.VocabularySize, Config.VocabularySize) }).Save(tokenizer);
        var model = new RandomModel(config);
        PackageWriter.Write(package, new PackageContents
        {
            Config = config,
            Weights = model.Weight,
            WriteSafetensors = path => Safetensors.Write(path, model._weights.Values.Select(Source)),
            TokenizerFolder = tokenizer,
        });
        return package;
    }

    private static byte[] Fill(Initializer initializer, ParameterInfo parameter)
    {
        float[] values = new float[parameter.Count];
        initializer.Fill(parameter, values);
        return MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
    }

    private TensorData Weight(string name) => new(ElementType.Float, TensorShape.Of(_weights[name].Parameter.Shape), _weights[name].Bytes);

    private static SafetensorsSource Source((ParameterInfo Parameter, byte[] Bytes) weight) =>
        SafetensorsSource.Of(weight.Parameter.Name, ElementType.Float, weight.Parameter.Shape, weight.Bytes);

    /// <summary>Words of random letters, each written twice: enough for every merge of the vocabulary.</summary>
    private static ImmutableArray<string> Text()
    {
        var random = new Random(Seed);
        var text = new StringBuilder();
        for (int i = 0; i < Words; i++)
        {
            string word = random.GetString("abcdefghijklmnopqrstuvwxyz", random.Next(2, LongestWord + 1));
            text.Append(' ').Append(word).Append(' ').Append(word);
        }
        return [text.ToString()];
    }
}
