using OnnxLlm.Benchmarks.Peers;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Tools;

/// <summary>Our packages are opened by ONNX Runtime GenAI as they are.</summary>
public sealed class GenAiTests(Stories15m model) : IClassFixture<Stories15m>
{
    [InstalledFact(PeerLibrary.NpmFolder, Stories15m.NpmFolder)]
    public void Greedy_FloatPackage_HasTheRecordedTokens()
    {
        using var genAi = new GenAiModel(model.Package);
        int[] recorded = Stories15m.Recorded.GreedyIds;
        Assert.Equal(recorded, genAi.Greedy(recorded.AsSpan(0, 1), recorded.Length));
        Assert.Equal(recorded, genAi.Greedy(recorded.AsSpan(0, 5), recorded.Length));
    }

    /// <summary>It has no kernels of ours and runs the definitions, as our sessions do without kernels.</summary>
    [InstalledFact(PeerLibrary.NpmFolder, Stories15m.NpmFolder)]
    public void Greedy_QuantizedPackage_HasTheTokensOfTheDefinitions()
    {
        using var genAi = new GenAiModel(model.Quantized);
        Assert.Equal(Stories15m.Greedy(model.Quantized, 120, kernels: false), genAi.Greedy([1], 120));
    }

    /// <summary>It makes its cache of the type that the graph's inputs have.</summary>
    [InstalledFact(PeerLibrary.NpmFolder, Stories15m.NpmFolder)]
    public void Greedy_PackageWithAnInt8Cache_HasTheTokensOfTheDefinitions()
    {
        using var genAi = new GenAiModel(model.Int8Cache);
        Assert.Equal(Stories15m.Greedy(model.Int8Cache, 120, kernels: false), genAi.Greedy([1], 120));
    }

    [InstalledFact(PeerLibrary.NpmFolder, Stories15m.NpmFolder)]
    public void Encode_ItsTokenizer_HasOurIds()
    {
        using var genAi = new GenAiModel(model.Package);
        var tokenizer = Tokenizer.Load(model.Package);
        Assert.All(     // GenAI leaves the token that begins a text to its caller
            (string[])["Once upon a time", " two  spaces", "line\nline", "naïve 字 🙂", "Lily's ball, a big one!"],
            text => Assert.Equal(tokenizer.Encode(text), genAi.Encode(text)));
    }
}
