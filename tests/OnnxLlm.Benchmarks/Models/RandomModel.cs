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

/// <summary>A package of quickstart's shape with random weights: as fast as a trained one, and there without training.</summary>
internal sealed class RandomModel
{
    private const int Seed = 1, Words = 6000, LongestWord = 8;

    private readonly Dictionary<string, (ParameterInfo Parameter, byte[] Bytes)> _weights;

    private RandomModel()
    {
        var initializer = new Initializer(Config, Seed);
        _weights = Decoders.Parameters(Config).ToDictionary(parameter => parameter.Name, parameter => (parameter, Fill(initializer, parameter)));
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

    /// <summary>Writes the package <c>random</c> into a folder, and returns its path.</summary>
    public static string Write(string folder)
    {
        string tokenizer = Path.Combine(folder, "tokenizer"), package = Path.Combine(folder, "random");
        BpeTrainer.Train(Text(), new BpeSettings { VocabularySize = Config.VocabularySize }).Save(tokenizer);
        var model = new RandomModel();
        PackageWriter.Write(package, new PackageContents
        {
            Config = Config,
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
