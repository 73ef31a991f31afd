using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

public sealed class RaggedGenerationTests
{
    [Theory]
    [MemberData(nameof(TinyModel.Names), MemberType = typeof(TinyModel))]
    public void Graph_OfEveryFamily_TakesTokensWithPlaces(string name)
    {
        using var package = new TinyPackage(TinyModel.Named(name));
        var ragged = RaggedGeneration.Of(OnnxFile.Read(Path.Combine(package.Folder, PackageManifest.ModelFile)))!;
        string[] inputs = [.. ragged.Graph.Input.Select(input => input.Name).Where(input => !input.StartsWith("past", StringComparison.Ordinal))];
        Assert.Equal(["input_ids", "logits_at", "token_slots", "token_positions"], inputs);
        Assert.DoesNotContain(ragged.Graph.Node, node => node.OpType is "Range" or "CachedAttention" or "RotaryCachedAttention");
    }

    /// <summary>Attention of others, and graphs from before that give the last scores only.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Graph_ThatIsNotOurs_StaysAsItIs(bool otherAttention)
    {
        using var package = new TinyPackage(TinyModel.Named("llama-16"));
        var model = OnnxFile.Read(Path.Combine(package.Folder, PackageManifest.ModelFile));
        if (otherAttention) model.Graph.Node.First(node => node.OpType == "RotaryCachedAttention").Domain = "com.microsoft";
        else model.Graph.Input.Remove(model.Graph.Input.Single(input => input.Name == GenerationGraph.LogitsAt));
        var before = model.Clone();
        Assert.Null(RaggedGeneration.Of(model));
        Assert.Equal(before, model);
    }
}
