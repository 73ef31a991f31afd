using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Kernels;
using OnnxLlm.Tests.Serving;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Runtime;

/// <summary>INT8 packages whose weights have a file of their own, beside the same in one file.</summary>
public sealed class QuantizedTensorsTests
{
    private static readonly int[] Prompt = [5, 3, 60, 7, 11, 2, 9, 1, 44, 8, 17];

    /// <summary>Prompts, single tokens and several: kernels that take weights in their own order add as the others do.</summary>
    [Fact]
    public void Answers_FromAFileOfWeights_AreThoseFromOneFile()
    {
        using var package = new ServedPackage(weights: Weights.Bytes, width: 256);
        float[] expected = Scores(package.Folder);
        Assert.False(File.Exists(Path.Combine(package.Folder, PackageManifest.DataFile)));
        MoveOut(package.Folder);
        Assert.Equal(expected, Scores(package.Folder));
    }

    /// <summary>A matrix or scale that something else reads too, or that fills no vectors, stays as it is.</summary>
    [Fact]
    public void Tensors_ThatOnlyProductsRead_AreReordered()
    {
        using var package = new ServedPackage(weights: Weights.Bytes, width: 256);
        MoveOut(package.Folder);
        var (model, tensors) = OnnxFile.ReadGraph(Path.Combine(package.Folder, PackageManifest.ModelFile));
        GraphProto graph = model.Graph;
        string head = "lm_head.weight.int8", down = "model.layers.0.mlp.down_proj.weight.turned.int8";
        Assert.Equal(QuantizedProduct.Interleaves, Reorders(down));
        graph.Node.Add(new NodeProto { OpType = "Identity", Input = { down }, Output = { "read" } });
        Assert.False(Reorders(down));
        Assert.False(Reorders(head));       // as many rows as the vocabulary, which are no multiple of eight
        Assert.All(tensors, tensor => Assert.Equal(QuantizedTensors.Of(graph, tensors).BytesOf(tensor), QuantizedTensors.Of(graph, tensors).ShapeOf(tensor).Aggregate((long)tensor.Type.Size(), (n, d) => n * d)));

        bool Reorders(string name) => QuantizedTensors.Of(graph, tensors).ShapeOf(tensors.Single(tensor => tensor.Name == name)).Length == InterleavedWeights.Rank;
    }

    /// <summary>What is quantized has scales of 16 bits; a package from before, or another program's, has others, which are kept as they are.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Scales_ThatSixteenBitsHold_TakeSixteen(bool wide)
    {
        using var package = new ServedPackage(weights: Weights.Bytes, width: 256);
        string path = Path.Combine(package.Folder, PackageManifest.ModelFile), name = "model.layers.0.mlp.down_proj.weight.turned.scale";
        if (wide)
        {
            ModelProto whole = OnnxFile.Read(path);
            TensorProto scales = whole.Graph.Initializer.Single(tensor => tensor.Name == name);
            byte[] bytes = scales.RawData.ToByteArray();
            bytes[0] ^= 1;
            scales.RawData = ByteString.CopyFrom(bytes);
            OnnxFile.Write(whole, path);
            PackageManifest.Read(package.Folder).Seal(package.Folder);
        }
        float[] expected = Scores(package.Folder);
        MoveOut(package.Folder);
        var (model, tensors) = OnnxFile.ReadGraph(path);
        ExternalTensor tensor = tensors.Single(tensor => tensor.Name == name);
        Assert.Equal(QuantizedProduct.TakesNarrowScales && !wide ? tensor.Length / 2 : tensor.Length, QuantizedTensors.Of(model.Graph, tensors).BytesOf(tensor));
        Assert.Equal(expected, Scores(package.Folder));
    }

    /// <summary>To the last bit: who is beside a sequence must not show in what is drawn for it.</summary>
    [Fact]
    public void Answers_ReadAndDecodedInOnePass_AreThoseOfTwo()
    {
        using var package = new ServedPackage(weights: Weights.Bytes, width: 256);
        MoveOut(package.Folder);
        using var session = new GenerationSession(ModelPackage.Open(package.Folder), 3, 32, new SessionSettings { Threads = 2, Spinning = false });
        for (int slot = 0; slot < 2; slot++) session.Prefill(slot, Prompt.AsSpan(5 * slot), 0);
        float[] read = session.Prefill(2, Prompt, 0).ToArray(), decoded = session.Decode([4, 5], [11, 6]).ToArray();
        Assert.Equal([.. decoded, .. read], session.DecodeAndRead([4, 5], [11, 6], 2, Prompt, 0));
    }

    [Fact]
    public void Sessions_WithoutKernels_ReadWeightsAsTheyLie()
    {
        using var package = new ServedPackage(weights: Weights.Bytes, width: 256);
        float[] expected = Scores(package.Folder, kernels: false);
        MoveOut(package.Folder);
        Assert.Equal(expected, Scores(package.Folder, kernels: false));
    }

    private static void MoveOut(string folder)
    {
        string path = Path.Combine(folder, PackageManifest.ModelFile);
        OnnxFile.Write(OnnxFile.Read(path), path, externalThreshold: 0);
        PackageManifest.Read(folder).Seal(folder);
        Assert.True(File.Exists(Path.Combine(folder, PackageManifest.DataFile)));
    }

    private static float[] Scores(string folder, bool kernels = true)
    {
        using var session = new GenerationSession(ModelPackage.Open(folder), 3, 32, new SessionSettings { Threads = 2, Spinning = false, Kernels = kernels });
        List<float> scores = [.. session.Prefill(0, Prompt, 0)];
        session.Prefill(1, Prompt.AsSpan(3), 0);
        session.Prefill(2, Prompt.AsSpan(7), 0);
        scores.AddRange(session.Decode([4, 5, 6], [11, 8, 4]));
        scores.AddRange(session.Decode([7], [12]));
        return [.. scores];
    }
}
