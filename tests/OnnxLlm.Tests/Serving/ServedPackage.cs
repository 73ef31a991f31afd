using OnnxLlm.Graphs.Models;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>A package with a random LLaMA of a few thousand weights and the tests' tokenizer.</summary>
internal sealed class ServedPackage : IDisposable
{
    private readonly TinyPackage _package;

    public ServedPackage(int maxPositions = 128)
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
    }

    public string Folder => _package.Folder;

    public void Dispose() => _package.Dispose();
}
