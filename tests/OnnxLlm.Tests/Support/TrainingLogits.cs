using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Support;

/// <summary>The forward part of the training graph, run once.</summary>
internal static class TrainingLogits
{
    public static float[] Of(TinyModel model, long[] ids, TrainingShape shape, bool kernels = true, long[]? mask = null, long[]? written = null)
    {
        using var session = new OrtSession(
            OnnxFile.ToBytes(TrainingGraphs.LogitsGraph(model.Config, shape)), new SessionSettings { Kernels = kernels, Threads = 1, Spinning = false });
        var feeds = session.Inputs.Where(i => i.Name is not ("input_ids" or "attention_mask" or "decoder_input_ids"))
            .ToDictionary(i => i.Name, i => TensorBuffer.Of(model.Weight(i.Name), i.Shape.AsSpan()));
        feeds["input_ids"] = TensorBuffer.Of(ids, shape.Batch, shape.Time);
        if (mask is not null) feeds["attention_mask"] = TensorBuffer.Of(mask, shape.Batch, shape.Time);
        if (written is not null) feeds["decoder_input_ids"] = TensorBuffer.Of(written, shape.Batch, shape.Time);
        try
        {
            using var logits = session.Run(feeds)["logits"];
            return logits.Span<float>().ToArray();
        }
        finally
        {
            foreach (var buffer in feeds.Values) buffer.Dispose();
        }
    }
}
