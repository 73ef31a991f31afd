using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Tools;

public sealed class WeightQuantizerTests
{
    private static readonly QuantizationSettings Blocks32 = new();

    public static TheoryData<string, int, int, int> Products => new()
    {
        { "MatMul", 64, 48, 32 },
        { "MatMul", 72, 33, 32 },
        { "MatMul", 300, 20, 128 },
        { "Transpose", 64, 48, 32 },
        { "Transpose", 100, 24, 64 },
        { "Gemm", 72, 40, 32 },
    };

    [Theory]
    [MemberData(nameof(Products))]
    public void Quantize_Product_StaysWithinTheBoundOnTheRuntime(string form, int k, int n, int block)
    {
        var model = form switch { "MatMul" => WeightModels.Product(k, n), "Gemm" => WeightModels.Gemm(k, n), _ => WeightModels.TransposedProduct(k, n) };
        var quantized = WeightQuantizer.Quantize(model, Blocks32 with { Block = block }).Model;
        float[] x = WeightModels.Numbers(3 * k, seed: 9);
        using var input = TensorBuffer.Of(x, 3, k);
        float[] expected = WeightModels.Run(model, "y", input), got = WeightModels.Run(quantized, "y", input);

        // Weights and activations are uniform in [−1, 1): both scales are at most 1/127, so a term is off by at most |x|/254 + (1 + 1/254)/254.
        for (int row = 0; row < 3; row++)
        {
            double bound = x.Skip(row * k).Take(k).Sum(v => Math.Abs(v) / 254 + 1.004 / 254);
            for (int i = row * n; i < (row + 1) * n; i++) Assert.InRange(Math.Abs(expected[i] - got[i]), 0, bound);
        }
        Assert.True(Distance(expected, got) is > 0 and < 0.02, "the error of random rounding is far below the bound, and not nothing");
        Assert.DoesNotContain(quantized.Graph.Node, node => node.OpType is "MatMul" or "Gemm" or "Transpose");
    }

    [Fact]
    public void Quantize_Product_WritesAccuracyLevel4()
    {
        ModelProto model = WeightQuantizer.Quantize(WeightModels.Product(64, 32), Blocks32).Model;
        var node = Assert.Single(model.Graph.Node);
        var definition = Assert.Single(Assert.Single(model.Functions, f => (f.Domain, f.Name) == (node.Domain, node.OpType)).Node);
        Assert.Equal(("MatMulNBits", "com.microsoft"), (definition.OpType, definition.Domain));
        var attributes = node.Attribute.Concat(definition.Attribute.Where(a => a.RefAttrName.Length == 0)).ToDictionary(a => a.Name, a => a.I);
        Assert.Equal((64, 32, 8, 32, 4), (attributes["K"], attributes["N"], attributes["bits"], attributes["block_size"], attributes["accuracy_level"]));
    }

    [Fact]
    public void Quantize_TiedTable_IsStoredOnceAndReadByBoth()
    {
        var model = WeightModels.Tied(vocabulary: 100, width: 64);
        var result = WeightQuantizer.Quantize(model, Blocks32);
        Assert.Equal(["embedding.int8", "embedding.scale", "layer.0.turned.int8", "layer.0.turned.scale"], result.Model.Graph.Initializer.Select(t => t.Name).Order());
        Assert.Equal(["embedding", "layer.0"], result.Quantized.Select(q => q.Name));

        using var ids = TensorBuffer.Of([3L, 99L], 2);
        float[] table = BlockMatrix.Quantize(Weights(model, "embedding"), 64, 32).Dequantize();
        Assert.Equal(table[(3 * 64)..(4 * 64)].Concat(table[(99 * 64)..]), WeightModels.Run(result.Model, "rows", ids));
        Assert.InRange(Distance(WeightModels.Run(model, "logits", ids), WeightModels.Run(result.Model, "logits", ids)), 0, 0.03);
    }

    /// <summary>In blocks, the runtime would keep a copy without them beside it.</summary>
    [Fact]
    public void Quantize_TableThatIsOnlyLookedUp_IsStoredAsALookupReadsIt()
    {
        var model = WeightModels.Write(g => g.Output("rows", g.Gather(g.Parameter("embedding", [100, 64]), g.Input("ids", ElementType.Int64, [2]))));
        var quantized = WeightQuantizer.Quantize(model, Blocks32).Model;
        Assert.Equal("GatherBlockQuantized", Assert.Single(quantized.Graph.Node).OpType);
        Assert.Equal([100, 64], quantized.Graph.Initializer.Single(t => t.Name == "embedding.table.int8").Dims);
        using var ids = TensorBuffer.Of([3L, 99L], 2);
        float[] table = BlockMatrix.Quantize(Weights(model, "embedding"), 64, 32).Dequantize();
        Assert.Equal(table[(3 * 64)..(4 * 64)].Concat(table[(99 * 64)..]), WeightModels.Run(quantized, "rows", ids));
    }

    [Fact]
    public void Quantize_TableWithPartialBlocks_IsReadRight()
    {
        var model = WeightModels.Tied(vocabulary: 50, width: 72);
        var quantized = WeightQuantizer.Quantize(model, Blocks32).Model;
        using var ids = TensorBuffer.Of([0L, 49L], 2);
        float[] table = BlockMatrix.Quantize(Weights(model, "embedding"), 72, 32).Dequantize();
        Assert.Equal(table[..72].Concat(table[(49 * 72)..]), WeightModels.Run(quantized, "rows", ids));
        Assert.InRange(Distance(WeightModels.Run(model, "logits", ids), WeightModels.Run(quantized, "logits", ids)), 0, 0.03);
    }

    [Fact]
    public void Quantize_SmallTiedModel_TakesAtMost30PercentOfTheBytes()
    {
        var model = WeightModels.Tied(vocabulary: 512, width: 64, layers: 4);
        double share = (double)WeightQuantizer.Quantize(model, Blocks32).Model.CalculateSize() / model.CalculateSize();
        Assert.InRange(share, 0.28, 0.30);
    }

    [Fact]
    public void Quantize_Twice_GivesTheSameBytesAndLeavesTheModelAlone()
    {
        var model = WeightModels.Tied(100, 64);
        byte[] before = model.ToByteArray();
        Assert.Equal(WeightQuantizer.Quantize(model, Blocks32).Model.ToByteArray(), WeightQuantizer.Quantize(model, Blocks32).Model.ToByteArray());
        Assert.Equal(before, model.ToByteArray());
    }

    [Fact]
    public void Quantize_MeasuredError_IsThatOfTheStoredWeights()
    {
        var model = WeightModels.TransposedProduct(64, 32);
        var report = Assert.Single(WeightQuantizer.Quantize(model, Blocks32).Quantized);
        float[] weights = Weights(model, "w"), rounded = BlockMatrix.Quantize(weights, 64, 32).Dequantize();
        Assert.Equal(weights.Zip(rounded, (a, b) => Math.Abs((double)a - b)).Max(), report.MaxError);
        Assert.Equal(Distance(weights, rounded), report.RelativeError, 6);
    }

    [Fact]
    public void Quantize_ExcludedAndSmallWeights_AreKeptWithTheReason()
    {
        var model = WeightModels.Write(g =>
        {
            var x = g.MatMul(g.Input("x", ElementType.Float, [3, 64]), g.Parameter("model.layer.0", [64, 64]));
            x = g.MatMul(x, g.Parameter("model.layer.1", [64, 64]));
            g.Output("y", g.MatMul(x, g.Parameter("narrow", [64, 8])));
        });
        var result = WeightQuantizer.Quantize(model, Blocks32 with { Exclude = ["*.layer.1"] });
        Assert.Equal(["model.layer.0"], result.Quantized.Select(q => q.Name));
        Assert.Equal(
            [("model.layer.1", "it is on the exclude list"), ("narrow", "it is 64 x 8; the smallest side is 16")],
            result.Kept.Select(k => (k.Name, k.Reason)));
    }

    [Fact]
    public void Quantize_NothingToDo_SaysWhy() =>
        Refused(WeightModels.Product(64, 8), "There is nothing to quantize: w: it is 64 x 8; the smallest side is 16.");

    [Fact]
    public void Quantize_QuantizedModel_IsRefused() =>
        Refused(WeightQuantizer.Quantize(WeightModels.Product(64, 64), Blocks32).Model, "The model is already quantized: node 'MatMul' is a QuantizedProduct.");

    [Fact]
    public void Quantize_WeightThatIsNotANumber_IsRefused()
    {
        var model = WeightModels.Product(64, 32);
        float[] weights = Weights(model, "w");
        weights[5] = float.NaN;
        model.Graph.Initializer[0].RawData = ByteString.CopyFrom(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(weights));
        Refused(model, "Weight 'w' holds NaN; a model with such weights cannot be quantized.");
    }

    [Fact]
    public void Quantize_WeightCutShort_IsRefused()
    {
        var model = WeightModels.Product(64, 32);
        model.Graph.Initializer[0].RawData = ByteString.CopyFrom(model.Graph.Initializer[0].RawData.Span[4..]);
        Refused(model, "Weight 'w' has 2047 numbers, its shape is 64 x 32.");
    }

    [Fact]
    public void Quantize_OddBlock_IsRefused() =>
        Assert.Throws<ToolException>(() => WeightQuantizer.Quantize(WeightModels.Product(64, 64), Blocks32 with { Block = 48 }));

    [Fact]
    public void After_NodeWithTheWrongBlock_IsADefect()
    {
        var model = WeightModels.Product(64, 32);
        var result = WeightQuantizer.Quantize(model, Blocks32);
        result.Model.Graph.Node[0].Attribute.Single(a => a.Name == "block_size").I = 64;
        var defect = Assert.Throws<ToolException>(() => QuantizationConditions.After(model, result));
        Assert.Contains("the wrong shape", defect.Message, StringComparison.Ordinal);
    }

    private static void Refused(ModelProto model, string message) =>
        Assert.Equal(message, Assert.Throws<ToolException>(() => WeightQuantizer.Quantize(model, Blocks32)).Message);

    private static float[] Weights(ModelProto model, string name) =>
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(model.Graph.Initializer.Single(t => t.Name == name).RawData.Span).ToArray();

    /// <summary>‖a − b‖ / ‖a‖.</summary>
    private static double Distance(float[] a, float[] b) =>
        Math.Sqrt(a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum() / a.Sum(x => (double)x * x));
}
