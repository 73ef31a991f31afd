using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>What of a package is in 8 bits. Beside weights of 8 bits the cache is of 16, unless it is of 8 too.</summary>
public enum Weights
{
    Floats,
    Bytes,
    BytesAndCache,
}

/// <summary>A package with a random LLaMA of a few thousand weights and the tests' tokenizer; its weights and cache in 8 bits where that is asked for.</summary>
internal sealed class ServedPackage : IDisposable
{
    private readonly TinyPackage _package;

    public ServedPackage(int maxPositions = 128, Weights weights = Weights.Floats, int width = 64)
    {
        var config = new ModelConfig
        {
            Family = ModelFamily.Llama,
            VocabularySize = TestServer.Tokenizer.VocabularySize,
            Width = width,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            FeedForward = width * 3 / 2,
            MaxPositions = maxPositions,
            EosTokenId = TestServer.Tokenizer.Special.Eos,
        };
        _package = new TinyPackage(TinyModel.Random(config, seed: 3), TestServer.Tokenizer);
        Folder = weights == Weights.Floats
            ? _package.Folder
            : QuantizedCopy.Write(_package.Folder, Path.GetDirectoryName(_package.Folder)!, weights == Weights.BytesAndCache ? ElementType.Int8 : ElementType.BFloat16, Text(config));
    }

    public string Folder { get; }

    public void Dispose() => _package.Dispose();

    private static int[] Text(ModelConfig config)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, 4 * config.MaxPositions).Select(_ => random.Next(config.VocabularySize))];
    }
}
