using System.Text.Json;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>How scores lie in an output tensor: those after every token, or only those after the last of each row.</summary>
internal sealed record ScoresLayout(string Name, long[] Shape, bool OnlyLast, int Vocabulary)
{
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);

    public static ScoresLayout Of(string output, InferTensors tensors, int vocabulary) => output == InferTensors.LastLogits
        ? new(output, [tensors.Batch, vocabulary], true, vocabulary)
        : new(output, [tensors.Batch, tensors.Length, vocabulary], false, vocabulary);

    /// <summary>All of the tensor but its data.</summary>
    public void Open(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("name", Name);
        writer.WriteString("datatype", "FP32");
        writer.WriteStartArray("shape");
        foreach (var size in Shape) writer.WriteNumberValue(size);
        writer.WriteEndArray();
        writer.WriteStartArray("data");
    }

    /// <summary>A row of the batch; what is padding has zeros.</summary>
    public void Write(Utf8JsonWriter writer, InferTensors tensors, int row, ScoreTable scores)
    {
        if (OnlyLast)
        {
            foreach (var score in scores.Chunks[^1].AsSpan()[^Vocabulary..]) writer.WriteNumberValue(score);
            return;
        }

        var (before, after) = (tensors.Starts[row], tensors.Length - tensors.Starts[row] - tensors.Rows[row].Length);
        for (long i = before * (long)Vocabulary; i > 0; i--) writer.WriteNumberValue(0);
        foreach (var chunk in scores.Chunks)
            foreach (var score in chunk) writer.WriteNumberValue(score);
        for (var i = after * Vocabulary; i > 0; i--) writer.WriteNumberValue(0);
    }

    public static void Close(Utf8JsonWriter writer)
    {
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
