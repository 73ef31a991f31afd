using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>A package with a random LLaMA of a few thousand weights and the tests' tokenizer; its weights and cache in 8 bits where that is asked for.</summary>
internal sealed class ServedPackage : IDisposable
{
    private readonly TinyPackage _package;

    public ServedPackage(int maxPositions = 128, bool int8Cache = false)
    {
        var config = new ModelConfig
        {
            Family = ModelFamily.Llama,
            VocabularySize = TestServer.Tokenizer.VocabularySize,
            Width = 64,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            FeedForward = 96,
            MaxPositions = maxPositions,
            EosTokenId = TestServer.Tokenizer.Special.Eos,
        };
        _package = new TinyPackage(TinyModel.Random(config, seed: 3), TestServer.Tokenizer);
        Folder = int8Cache ? QuantizedCopy.Write(_package.Folder, Path.GetDirectoryName(_package.Folder)!, Text(config)) : _package.Folder;
    }

    public string Folder { get; }

    public void Dispose() => _package.Dispose();

    private static int[] Text(ModelConfig config)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, 4 * config.MaxPositions).Select(_ => random.Next(config.VocabularySize))];
    }
}
