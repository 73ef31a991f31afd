using System.Collections.Immutable;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>What the quantizer made: the model, what was rounded and by how much, and which candidates stayed as they were, and why.</summary>
internal sealed record QuantizedModel(ModelProto Model, ImmutableArray<QuantizedWeight> Quantized, ImmutableArray<KeptWeight> Kept);

/// <summary>A rounded matrix: the largest |w − w'| of its weights, and ‖w − w'‖ / ‖w‖.</summary>
internal sealed record QuantizedWeight(string Name, int Rows, int Columns, double MaxError, double RelativeError)
{
    public static QuantizedWeight Measure(string name, ReadOnlySpan<float> before, BlockMatrix after)
    {
        float[] rounded = after.Dequantize();
        double largest = 0, lost = 0, norm = 0;
        for (int i = 0; i < rounded.Length; i++)
        {
            double difference = (double)before[i] - rounded[i];
            largest = Math.Max(largest, Math.Abs(difference));
            lost += difference * difference;
            norm += (double)before[i] * before[i];
        }
        return new(name, after.Rows, after.Columns, largest, norm == 0 ? 0 : Math.Sqrt(lost / norm));
    }
}

internal sealed record KeptWeight(string Name, string Node, string Reason);
